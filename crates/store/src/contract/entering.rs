//! Entering rooms and catching up on them: one call in place of several.

use super::{Harness, Outcome, message, room, say, seqs};
use crate::{
    CatchUp, CaughtUp, EnterRoom, LogPosition, Missed, NewSession, Options, Range, Resume, RoomChange,
    RoomId, RoomKind, SessionKey, Store, StoreError, Subscribed, Unread,
};

const KEY: SessionKey = SessionKey([7; 16]);

fn ask(room: RoomId, since: Option<u64>, upto: u64) -> CatchUp {
    CatchUp {
        room,
        since,
        upto,
        limit: 10,
    }
}

fn enter(catch_up: CatchUp) -> EnterRoom {
    EnterRoom {
        user_id: "bob".into(),
        at: 5,
        starts_read: false,
        session: None,
        catch_up,
    }
}

async fn begin(store: &dyn Store) -> Outcome {
    let session = NewSession {
        key: KEY,
        owner: 1,
        sid: "sid".into(),
        user_id: "bob".into(),
        at: 1,
    };
    store.begin_session(session).await
}

fn page(caught: Option<CaughtUp>) -> Option<(Range, Vec<u64>)> {
    caught.map(|caught| (caught.range, seqs(&caught.history)))
}

pub async fn entering_a_room_joins_subscribes_and_reads(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let id = room(&*store, "a").await?.id;
    say(&*store, id, "ann", &["1", "2", "3"]).await?;
    begin(&*store).await?;
    let first = EnterRoom {
        session: Some((KEY, 1)),
        ..enter(ask(id, Some(1), 2))
    };
    let Some(entered) = store.enter_room(first.clone()).await? else {
        panic!("the room is public")
    };
    assert!(entered.joined.newly && entered.subscribed);
    let unread = Unread {
        messages: 3,
        mentions: 0,
    };
    assert_eq!(entered.unread, unread);
    assert_eq!(
        page(entered.page?),
        Some((Range::After { seq: 1, upto: 2 }, vec![2]))
    );
    let Some(again) = store.enter_room(enter(ask(id, None, 3))).await? else {
        panic!("bob is a member")
    };
    assert!(!again.joined.newly);
    assert_eq!(page(again.page?), Some((Range::Last { upto: 3 }, vec![1, 2, 3])));
    // The session has the entries after the second one, and belongs to nobody else.
    let resume = Resume {
        key: KEY,
        owner: 2,
        user_id: "bob".into(),
        lost_since: 0,
    };
    let resumed = store.resume_session(resume).await?;
    let after = resumed.map(|resumed| resumed.rooms.iter().map(|room| room.after).collect::<Vec<_>>());
    assert_eq!(after, Some(vec![2]));
    let taken = store.enter_room(first).await?;
    assert_eq!(taken.map(|entered| entered.subscribed), Some(false));
    assert!(store.enter_room(enter(ask(99, None, 0))).await?.is_none());
    let private = RoomChange {
        kind: Some(RoomKind::Private),
        history: None,
    };
    let (hidden, _) = store.put_room("hidden", private, 1).await?;
    assert!(store.enter_room(enter(ask(hidden.id, None, 0))).await?.is_none());
    Ok(())
}

pub async fn a_first_membership_may_start_read(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let id = room(&*store, "a").await?.id;
    say(&*store, id, "ann", &["1", "2"]).await?;
    let starts_read = EnterRoom {
        starts_read: true,
        ..enter(ask(id, None, 2))
    };
    let entered = store.enter_room(starts_read.clone()).await?;
    let entered = entered.map(|entered| (entered.joined.member.read_seq, entered.unread));
    assert_eq!(entered, Some((2, Unread::default())));
    say(&*store, id, "ann", &["later"]).await?;
    store.leave(id, "bob").await?;
    let back = store.enter_room(starts_read).await?;
    let back = back.map(|back| (back.joined.member.read_seq, back.unread.messages));
    assert_eq!(back, Some((2, 1)), "the next membership keeps the mark");
    Ok(())
}

pub async fn several_rooms_are_caught_up_together(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        let id = room(&*store, name).await?.id;
        say(&*store, id, "ann", &["1", "2"]).await?;
        ids.push(id);
    }
    let asks = || {
        vec![
            ask(ids[0], Some(1), 2),
            ask(ids[1], Some(2), 2),
            ask(99, None, 0),
            ask(ids[2], Some(9), 2),
        ]
    };
    let pages = store.catch_up(asks(), usize::MAX).await?;
    let pages: Vec<_> = pages.into_iter().map(page).collect();
    let expected = [
        Some((Range::After { seq: 1, upto: 2 }, vec![2])),
        Some((Range::After { seq: 2, upto: 2 }, vec![])),
        None,
        Some((Range::Last { upto: 2 }, vec![1, 2])),
    ];
    assert_eq!(pages, expected);
    let pages = store.catch_up(asks(), 1).await?;
    let more: Vec<_> = pages
        .iter()
        .flatten()
        .map(|page| (page.history.entries.len(), page.history.more))
        .collect();
    assert_eq!(more, [(1, false), (0, false), (0, true)]);
    Ok(())
}

pub async fn a_session_is_subscribed_to_all_rooms_or_none(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (a, b) = (room(&*store, "a").await?.id, room(&*store, "b").await?.id);
    begin(&*store).await?;
    store.join(a, "bob", 1).await?;
    let members = store.memberships("bob", &[b, a]).await?;
    assert_eq!(
        members.iter().map(Option::is_some).collect::<Vec<_>>(),
        [false, true]
    );
    let both = || vec![(a, 0), (b, 0)];
    assert_eq!(
        store.subscribe_all(KEY, 1, "bob", both()).await?,
        Subscribed::NotMember
    );
    store.join(b, "bob", 1).await?;
    assert_eq!(
        store.subscribe_all(KEY, 2, "bob", both()).await?,
        Subscribed::NotOwner
    );
    assert_eq!(store.subscribe_all(KEY, 1, "bob", both()).await?, Subscribed::All);
    store.append(vec![message(a, "ann", None, "1")]).await?;
    let missed = |owner| Missed {
        session: Some((KEY, owner)),
        rooms: vec![(a, 0), (b, 0)],
        after: LogPosition::ZERO,
        upto: LogPosition::MAX,
        most: 9,
        most_bytes: 100,
    };
    let found = async |owner| -> Result<_, StoreError> {
        Ok(store.missed(missed(owner)).await?.map(|entries| entries.len()))
    };
    assert_eq!((found(1).await?, found(2).await?), (Some(1), None));
    store.leave(b, "bob").await?;
    assert_eq!(found(1).await?, None, "the session is no longer complete");
    Ok(())
}
