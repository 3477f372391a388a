//! Rooms, memberships, read marks, users.

use super::{Harness, Outcome, room, say};
use crate::{ChosenStatus, Delivered, Marked, Options, ProfileChange, StoreError, Unread, UserRow};

fn unread(messages: u64) -> Unread {
    Unread {
        messages,
        mentions: 0,
    }
}

pub async fn a_room_is_created_once(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    assert_eq!(store.open_room("a", false, 1).await?, None);
    let (one, two) = tokio::join!(store.open_room("a", true, 5), store.open_room("a", true, 5));
    let (one, two) = (one?, two?);
    assert_eq!(one, two, "both who create it get the same room");
    let Some(one) = one else { panic!("not created") };
    assert_eq!(
        (one.name.as_str(), one.head, one.first, one.created_at),
        ("a", 0, 1, 5)
    );
    let url_safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!(
        one.epoch.len() == 16 && one.epoch.chars().all(url_safe),
        "{}",
        one.epoch
    );
    let other = room(&*store, "A").await?;
    assert!(other.id != one.id && other.epoch != one.epoch);
    say(&*store, one.id, "ann", &["1", "2"]).await?;
    assert_eq!(
        store.open_room("a", true, 9).await?.map(|room| room.head),
        Some(2)
    );
    Ok(())
}

pub async fn joining_twice_is_joining_once(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?;
    say(&*store, room.id, "ann", &["1", "2"]).await?;
    let join = async |at| match store.join(room.id, "bob", at).await? {
        Some(joined) => Ok(joined),
        None => Err(StoreError::Internal("no room".into())),
    };
    let first = join(10).await?;
    assert_eq!(
        (
            first.newly,
            first.room.head,
            first.member.read_seq,
            first.member.joined_at
        ),
        (true, 2, 0, 10)
    );
    let second = join(20).await?;
    assert_eq!((second.newly, &second.member), (false, &first.member));
    assert!(store.leave(room.id, "bob").await?);
    assert!(!store.leave(room.id, "bob").await?);
    assert_eq!(store.member(room.id, "bob").await?, None);
    let again = join(30).await?;
    assert_eq!((again.newly, again.member.joined_at), (true, 30));
    assert_eq!(store.join(room.id + 1, "bob", 1).await?, None);
    assert!(!store.leave(room.id + 1, "bob").await?);
    Ok(())
}

pub async fn a_mark_grows_up_to_the_head(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?;
    assert_eq!(store.mark_read(room.id, "bob", 1, 1).await?, None, "not a member");
    store.join(room.id, "bob", 1).await?;
    say(&*store, room.id, "ann", &["1", "2", "3", "4"]).await?;
    let steps = [
        (0, 0, false, 4),
        (2, 2, true, 2),
        (1, 2, false, 2),
        (2, 2, false, 2),
        (9, 4, true, 0),
        (3, 4, false, 0),
    ];
    for (at, (seq, read_seq, advanced, left)) in (10..).zip(steps) {
        let marked = store.mark_read(room.id, "bob", seq, at).await?;
        assert_eq!(
            marked,
            Some(Marked {
                read_seq,
                advanced,
                unread: unread(left)
            }),
            "mark {seq}"
        );
    }
    let member = store.member(room.id, "bob").await?;
    assert_eq!(
        member.map(|member| (member.read_seq, member.read_at)),
        Some((4, Some(14)))
    );
    Ok(())
}

pub async fn a_delivered_mark_grows_and_is_never_behind(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?;
    assert_eq!(
        store.mark_room_delivered(room.id, "bob", 1).await?,
        None,
        "not a member"
    );
    store.join(room.id, "bob", 1).await?;
    say(&*store, room.id, "ann", &["1", "2", "3", "4"]).await?;
    for (seq, delivered_seq, advanced) in [(2, 2, true), (1, 2, false), (2, 2, false), (9, 4, true)] {
        let expected = Delivered {
            delivered_seq,
            advanced,
        };
        let marked = store.mark_room_delivered(room.id, "bob", seq).await?;
        assert_eq!(marked, Some(expected), "mark {seq}");
    }
    say(&*store, room.id, "ann", &["5", "6"]).await?;
    let marks = async || -> Result<_, StoreError> {
        let member = store.member(room.id, "bob").await?;
        Ok(member.map(|member| (member.read_seq, member.delivered_seq)))
    };
    store.mark_read(room.id, "bob", 3, 1).await?;
    assert_eq!(marks().await?, Some((3, 4)));
    store.mark_read(room.id, "bob", 5, 1).await?;
    assert_eq!(marks().await?, Some((5, 5)), "read messages count as delivered");
    store.leave(room.id, "bob").await?;
    assert_eq!(store.mark_room_delivered(room.id, "bob", 6).await?, None);
    store.join(room.id, "bob", 2).await?;
    assert_eq!(marks().await?, Some((5, 5)));
    assert_eq!(store.mark_room_delivered(room.id + 1, "bob", 6).await?, None);
    Ok(())
}

pub async fn a_mark_survives_leaving(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?;
    store.join(room.id, "bob", 1).await?;
    say(&*store, room.id, "ann", &["1", "2", "3"]).await?;
    store.mark_read(room.id, "bob", 2, 5).await?;
    store.leave(room.id, "bob").await?;
    assert_eq!(store.mark_read(room.id, "bob", 3, 6).await?, None);
    assert_eq!(store.unread(room.id, "bob").await?, None);
    let joined = store.join(room.id, "bob", 7).await?;
    assert_eq!(joined.map(|joined| joined.member.read_seq), Some(2));
    assert_eq!(store.unread(room.id, "bob").await?, Some(unread(1)));
    Ok(())
}

pub async fn unread_counts_messages_of_others(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?;
    assert_eq!(store.unread(room.id, "ann").await?, None);
    store.join(room.id, "ann", 1).await?;
    store.join(room.id, "bob", 1).await?;
    assert_eq!(store.unread(room.id, "ann").await?, Some(unread(0)));
    say(&*store, room.id, "ann", &["1", "2", "3"]).await?;
    say(&*store, room.id, "bob", &["4"]).await?;
    assert_eq!(store.unread(room.id, "ann").await?, Some(unread(1)));
    assert_eq!(store.unread(room.id, "bob").await?, Some(unread(3)));
    store.mark_read(room.id, "bob", 1, 1).await?;
    assert_eq!(store.unread(room.id, "bob").await?, Some(unread(2)));
    assert_eq!(
        store.unread(room.id, "ann").await?,
        Some(unread(1)),
        "each has a mark of their own"
    );
    Ok(())
}

pub async fn rooms_of_a_user_come_latest_first(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    for (at, name) in (1..).zip(["a", "b", "c", "d"]) {
        let room = room(&*store, name).await?;
        store.join(room.id, "ann", at).await?;
        store.join(room.id, "bob", 1).await?;
        if name == "b" {
            store.leave(room.id, "ann").await?;
        }
    }
    let names = async |limit| -> Result<Vec<String>, StoreError> {
        Ok(store
            .rooms_of("ann", limit)
            .await?
            .into_iter()
            .map(|room| room.name)
            .collect())
    };
    assert_eq!(names(10).await?, ["d", "c", "a"]);
    assert_eq!(names(2).await?, ["d", "c"]);
    assert_eq!(store.rooms_of("nobody", 10).await?, []);
    Ok(())
}

pub async fn a_user_keeps_name_and_latest_time(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let seen = |user_id: &str, name: Option<&str>, last_seen| UserRow {
        user_id: user_id.into(),
        name: name.map(Into::into),
        avatar: None,
        metadata: None,
        profile_set_at: 0,
        last_seen,
        status: ChosenStatus::Online,
        status_text: None,
    };
    store.touch_user("ann", None, 10).await?;
    store.touch_user("bob", Some("Bob"), 20).await?;
    let ids = ["bob", "nobody", "ann"].map(String::from);
    assert_eq!(
        store.users(&ids).await?,
        [seen("bob", Some("Bob"), 20), seen("ann", None, 10)]
    );
    store.touch_user("bob", None, 30).await?;
    store.touch_user("ann", Some("Ann"), 5).await?;
    assert_eq!(
        store.users(&ids).await?,
        [seen("bob", Some("Bob"), 30), seen("ann", Some("Ann"), 10)]
    );
    Ok(())
}

pub async fn a_profile_set_by_the_backend_wins_over_older_tokens(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let profile = |user: UserRow| {
        let seen = user.seen();
        (user.name, user.avatar, user.metadata, seen)
    };
    let some = |text: &str| Some(text.to_owned());

    let taken = store.take_profile("ann", Some("Ann"), Some("/1.png"), 10).await?;
    assert_eq!(profile(taken), (some("Ann"), some("/1.png"), None, None));
    let taken = store.take_profile("ann", Some("Anna"), None, 0).await?;
    assert_eq!(profile(taken), (some("Anna"), some("/1.png"), None, None));

    let change = ProfileChange {
        name: Some(some("Dr. Ann")),
        avatar: Some(None),
        metadata: Some(some(r#"{"team":"b"}"#)),
    };
    let set = store.put_profile("ann", &change, 100).await?;
    assert_eq!(
        profile(set.clone()),
        (some("Dr. Ann"), None, some(r#"{"team":"b"}"#), None)
    );
    let older = store.take_profile("ann", Some("Ann"), Some("/1.png"), 99).await?;
    assert_eq!(older, set);
    let newer = store.take_profile("ann", Some("Ann"), None, 100).await?;
    assert_eq!(profile(newer), (some("Ann"), None, some(r#"{"team":"b"}"#), None));

    let change = ProfileChange {
        metadata: Some(None),
        ..ProfileChange::default()
    };
    store.touch_user("ann", None, 50).await?;
    let set = store.put_profile("ann", &change, 200).await?;
    assert_eq!(profile(set.clone()), (some("Ann"), None, None, Some(50)));
    assert_eq!(store.users(&["ann".to_owned()]).await?, [set]);
    Ok(())
}

pub async fn a_chosen_status_survives_a_restart(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let row = |user_id: &str, name: Option<&str>, last_seen, status, text: Option<&str>| UserRow {
        user_id: user_id.into(),
        name: name.map(Into::into),
        avatar: None,
        metadata: None,
        profile_set_at: 0,
        last_seen,
        status,
        status_text: text.map(Into::into),
    };
    store.touch_user("ann", Some("Ann"), 10).await?;
    store
        .set_status("ann", ChosenStatus::Away, Some("Lunch 🍜"), 20)
        .await?;
    store.set_status("bob", ChosenStatus::Invisible, None, 30).await?;
    store
        .set_status("bob", ChosenStatus::Invisible, Some("hm"), 5)
        .await?;
    store.touch_user("ann", None, 15).await?;
    let ids = ["ann", "bob"].map(String::from);
    let both = [
        row("ann", Some("Ann"), 20, ChosenStatus::Away, Some("Lunch 🍜")),
        row("bob", None, 30, ChosenStatus::Invisible, Some("hm")),
    ];
    assert_eq!(store.users(&ids).await?, both);
    store.close().await;
    drop(store);

    let store = harness.open(Options::default());
    assert_eq!(store.users(&ids).await?, both);
    store.set_status("ann", ChosenStatus::Busy, None, 40).await?;
    store.set_status("bob", ChosenStatus::Online, None, 40).await?;
    store.touch_user("bob", Some("Bob"), 50).await?;
    let both = [
        row("ann", Some("Ann"), 40, ChosenStatus::Busy, None),
        row("bob", Some("Bob"), 50, ChosenStatus::Online, None),
    ];
    assert_eq!(store.users(&ids).await?, both);
    Ok(())
}
