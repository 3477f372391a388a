//! The inbox: the list of a user's rooms.

use super::{Harness, Outcome, change, done, message, room, say};
use crate::{EntryKind, Inbox, InboxCursor, NewEntry, Options, Retention, RoomId, Store, StoreError, Unread};

fn names(inbox: &Inbox) -> Vec<&str> {
    inbox.rooms.iter().map(|row| row.room.name.as_str()).collect()
}

async fn all(store: &dyn Store, user: &str) -> Result<Inbox, StoreError> {
    store.inbox(user, 100, None).await
}

async fn say_at(store: &dyn Store, room: RoomId, at: i64) -> Outcome {
    let entry = NewEntry {
        at,
        ..message(room, "ann", None, "1")
    };
    done(store, entry).await.map(drop)
}

pub async fn the_latest_room_comes_first(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let id = room(&*store, name).await?.id;
        store.join(id, "bob", 1).await?;
        ids.push(id);
    }
    store.leave(ids[3], "bob").await?;
    assert_eq!(
        names(&all(&*store, "bob").await?),
        ["c", "b", "a"],
        "all made at once"
    );
    // The order of the log decides, even if the wall clock was set back in between.
    say_at(&*store, ids[1], 40).await?;
    say_at(&*store, ids[0], 30).await?;
    say_at(&*store, ids[3], 20).await?;
    assert_eq!(names(&all(&*store, "bob").await?), ["a", "b", "c"]);
    say_at(&*store, ids[1], 10).await?;
    assert_eq!(names(&all(&*store, "bob").await?), ["b", "a", "c"]);
    // A reaction to an old message moves no room.
    say_at(&*store, ids[1], 9).await?;
    let reaction = NewEntry {
        at: 99,
        ..change(ids[0], "ann", EntryKind::Reaction { removed: false }, 1, "+")
    };
    store.append(vec![reaction]).await?;
    let inbox = all(&*store, "bob").await?;
    assert_eq!((names(&inbox), inbox.more), (vec!["b", "a", "c"], false));
    let last: Vec<_> = inbox
        .rooms
        .iter()
        .map(|row| row.last_message.as_ref().map(|entry| entry.seq))
        .collect();
    assert_eq!(last, [Some(3), Some(1), None]);
    assert_eq!(all(&*store, "nobody").await?.rooms, []);
    Ok(())
}

pub async fn pages_of_rooms_join_up(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options {
        page_bytes: 20,
        ..Options::default()
    });
    for n in 0..7 {
        let id = room(&*store, &n.to_string()).await?.id;
        store.join(id, "bob", 1).await?;
        // Two have the same time.
        say_at(&*store, id, 100 - n / 2).await?;
    }
    let whole: Vec<_> = all(&*store, "bob").await?.rooms;
    for limit in 1..=8u32 {
        let (mut rooms, mut after): (Vec<_>, Option<InboxCursor>) = (Vec::new(), None);
        loop {
            let page = store.inbox("bob", limit, after).await?;
            assert!(page.rooms.len() <= limit as usize);
            after = page.rooms.last().map(|row| row.cursor);
            rooms.extend(page.rooms);
            if !page.more {
                break;
            }
        }
        assert_eq!(rooms, whole, "{limit} at a time");
    }
    let large = room(&*store, "0").await?.id;
    say(
        &*store,
        large,
        "ann",
        &["a body that is larger than a page may be"],
    )
    .await?;
    let page = all(&*store, "bob").await?;
    assert_eq!(
        (names(&page), page.more),
        (vec!["0"], true),
        "one is always let through"
    );
    Ok(())
}

pub async fn an_inbox_row_shows_unread_messages(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let id = room(&*store, "a").await?.id;
    store.join(id, "bob", 7).await?;
    let mentioning = NewEntry {
        mentions: vec!["bob".into()],
        ..message(id, "ann", None, "1")
    };
    store.append(vec![mentioning.clone(), mentioning]).await?;
    say(&*store, id, "bob", &["3"]).await?;
    store.mark_read(id, "bob", 1, 8).await?;
    done(&*store, change(id, "bob", EntryKind::Delete, 3, "")).await?;
    let inbox = all(&*store, "bob").await?;
    let [row] = &inbox.rooms[..] else {
        panic!("{inbox:?}")
    };
    assert_eq!(Some(&row.room), store.open_room("a", false, 1).await?.as_ref());
    assert_eq!(Some(&row.member), store.member(id, "bob").await?.as_ref());
    assert_eq!(row.last_message, store.entry(id, 3).await?);
    assert!(row.last_message.as_ref().is_some_and(|last| last.state.deleted));
    let unread = Unread {
        messages: 1,
        mentions: 1,
    };
    assert_eq!(row.unread, unread);
    store
        .trim(
            Retention {
                max_entries: 1,
                max_age_ms: i64::MAX,
                ..Retention::default()
            },
            9,
        )
        .await?;
    assert_eq!(
        all(&*store, "bob").await?.rooms[0].last_message,
        None,
        "it is kept no longer"
    );
    Ok(())
}
