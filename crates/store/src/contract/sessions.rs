//! Positions of entries, and sessions that resume.

use std::sync::Arc;

use super::{Harness, Outcome, bodies, message, read, room, say};
use crate::{
    AppendResult, Appended, LogEntry, LogPosition, Missed, NewSession, Options, Outage, Range, Rejected,
    Resume, Resumed, Retention, RoomId, SessionKey, Store, StoreError,
};

const KEY: SessionKey = SessionKey([7; 16]);

fn positions_of(logged: &[LogEntry]) -> Vec<(u64, RoomId, u64)> {
    logged
        .iter()
        .map(|logged| (logged.position.0, logged.room, logged.entry.seq))
        .collect()
}

pub async fn positions_are_dense_over_all_rooms(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let start = store.log_head();
    assert_eq!((start.position.0, start.epoch.len()), (0, 8));
    let (a, b) = (room(&*store, "a").await?.id, room(&*store, "b").await?.id);
    let entries = vec![
        message(a, "ann", Some("k"), "1"),
        message(b + 1, "ann", None, "nowhere"),
        message(b, "ann", None, "2"),
        message(a, "ann", Some("k"), "1"),
        message(a, "ann", None, "3"),
    ];
    let AppendResult {
        results,
        first_position,
    } = store.append_with_positions(entries).await?;
    assert_eq!(first_position.0, 1);
    assert_eq!(results[1], Err(Rejected::NoSuchRoom));
    assert!(matches!(results[3], Ok(Appended::Duplicate { seq: 1, .. })));
    say(&*store, b, "bob", &["4"]).await?;
    assert_eq!(store.log_head().position.0, 4);
    assert_eq!(store.read_log_head().await?, store.log_head());
    let all = store.log_entries(LogPosition(0), LogPosition(9), 9).await?;
    assert_eq!(positions_of(&all), [(1, a, 1), (2, b, 1), (3, a, 2), (4, b, 2)]);
    assert_eq!(
        positions_of(&store.log_entries(LogPosition(1), LogPosition(3), 9).await?),
        [(2, b, 1), (3, a, 2)]
    );
    assert_eq!(
        positions_of(&store.log_entries(LogPosition(1), LogPosition(4), 1).await?),
        [(2, b, 1)]
    );
    assert_eq!(
        (
            store.room_at(LogPosition(2)).await?,
            store.room_at(LogPosition(3)).await?,
            store.room_at(LogPosition(5)).await?
        ),
        (Some(b), Some(a), None)
    );
    let epoch = store.log_head().epoch;
    store.close().await;
    let store = harness.open(Options::default());
    assert_eq!((store.log_head().epoch, store.log_head().position.0), (epoch, 4));
    assert_eq!(
        store
            .append_with_positions(vec![message(a, "ann", None, "5")])
            .await?
            .first_position
            .0,
        5
    );
    Ok(())
}

pub async fn a_room_is_deleted_together_with_its_control_entry(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (a, b) = (room(&*store, "a").await?.id, room(&*store, "b").await?.id);
    say(&*store, a, "bob", &["1", "2"]).await?;
    store.join(a, "ann", 1).await?;
    // The room of the control entry is missing, so the other room stays.
    let unsaid = store
        .delete_room_with(a, message(b + 1, "ann", None, "gone"))
        .await?;
    assert_eq!(unsaid.results, [Err(Rejected::NoSuchRoom)]);
    assert!(store.room(a).await?.is_some(), "both or neither");
    // Concurrent appends get positions of their own.
    let entries = || vec![message(b, "ann", None, "3")];
    let (before, removed, after) = tokio::join!(
        store.append_with_positions(entries()),
        store.delete_room_with(a, message(b, "ann", None, "gone")),
        store.append_with_positions(entries()),
    );
    let (before, removed, after) = (before?, removed?, after?);
    assert!(matches!(removed.results[..], [Ok(Appended::New { .. })]));
    assert_eq!(store.room(a).await?, None);
    let mut told = [
        (before.first_position.0, "3"),
        (removed.first_position.0, "gone"),
        (after.first_position.0, "3"),
    ];
    told.sort_unstable();
    let said = store.log_entries(LogPosition(0), LogPosition(9), 9).await?;
    let said: Vec<_> = said
        .iter()
        .map(|logged| (logged.position.0, &*logged.entry.body))
        .collect();
    assert_eq!(said, told);
    let again = store.delete_room_with(a, message(b, "ann", None, "gone")).await?;
    assert_eq!(again.results, [Err(Rejected::NoSuchRoom)]);
    assert_eq!(store.read_log_head().await?.position.0, told[2].0);
    Ok(())
}

/// A session of ann with subscriptions from the rooms' current heads on.
async fn subscribed(store: &dyn Store, rooms: &[RoomId]) -> Result<(), StoreError> {
    let session = NewSession {
        key: KEY,
        owner: 1,
        sid: "sid".into(),
        user_id: "ann".into(),
        at: 10,
    };
    store.begin_session(session).await?;
    for room in rooms {
        store.join(*room, "ann", 10).await?;
        let head = read(store, *room, Range::Last { upto: u64::MAX }, 1).await?.head;
        assert!(store.subscribe(KEY, 1, *room, head, 1).await?);
    }
    Ok(())
}

async fn resume(
    store: &dyn Store,
    user: &str,
    owner: u64,
    lost_since: i64,
) -> Result<Option<Resumed>, StoreError> {
    let ask = Resume {
        key: KEY,
        owner,
        user_id: user.into(),
        lost_since,
    };
    store.resume_session(ask).await
}

fn subscriptions(resumed: &Resumed) -> Vec<(RoomId, u64)> {
    let rooms = resumed.rooms.iter();
    rooms.map(|room| (room.room.id, room.after)).collect()
}

pub async fn a_session_resumes_for_its_user_in_time(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let a = room(&*store, "a").await?.id;
    say(&*store, a, "bob", &["1", "2"]).await?;
    subscribed(&*store, &[a]).await?;
    store.mark_session_lost(KEY, 1, 100, 9).await?;
    assert_eq!(resume(&*store, "eve", 2, 0).await?, None, "another user's");
    for owner in 2..5 {
        let resumed = resume(&*store, "ann", owner, 100).await?;
        let resumed = resumed.ok_or_else(|| StoreError::Internal("not resumed".into()))?;
        assert_eq!(
            (resumed.sid.as_str(), subscriptions(&resumed)),
            ("sid", vec![(a, 2)])
        );
    }
    // Calls of its former owners have no effect.
    store.end_session(KEY, 2).await?;
    store.mark_session_lost(KEY, 3, 1, 0).await?;
    store.unsubscribe(KEY, 3, vec![a]).await?;
    assert!(!store.subscribe(KEY, 3, a, 0, 1).await?);
    let resumed = resume(&*store, "ann", 5, 100).await?;
    assert_eq!(
        resumed.as_ref().map(subscriptions),
        Some(vec![(a, 2)]),
        "as it was"
    );
    store.mark_session_lost(KEY, 5, 100, 9).await?;
    assert_eq!(resume(&*store, "ann", 6, 101).await?, None, "lost too long ago");
    assert_eq!(resume(&*store, "ann", 6, 0).await?, None, "and deleted with that");
    Ok(())
}

pub async fn an_ended_session_does_not_resume(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    subscribed(&*store, &[]).await?;
    store.end_session(KEY, 1).await?;
    assert_eq!(resume(&*store, "ann", 2, 0).await?, None);
    Ok(())
}

pub async fn lost_sessions_of_a_user_can_be_deleted(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    subscribed(&*store, &[]).await?;
    store.end_lost_sessions("ann").await?;
    assert!(resume(&*store, "ann", 2, 0).await?.is_some(), "it was not lost");
    store.mark_session_lost(KEY, 2, 50, 9).await?;
    store.end_lost_sessions("bob").await?;
    assert!(resume(&*store, "ann", 3, 0).await?.is_some(), "it was not bob's");
    store.mark_session_lost(KEY, 3, 50, 9).await?;
    store.end_lost_sessions("ann").await?;
    assert_eq!(resume(&*store, "ann", 4, 0).await?, None);
    Ok(())
}

pub async fn a_session_survives_a_restart(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let a = room(&*store, "a").await?.id;
    subscribed(&*store, &[a]).await?;
    store.heartbeat(50, 0).await?;
    store.close().await;
    let store = harness.open(Options::default());
    store.mark_all_sessions_lost().await?;
    assert!(resume(&*store, "ann", 1, 50).await?.is_some());
    store.mark_all_sessions_lost().await?;
    store.heartbeat(60, 51).await?;
    assert_eq!(resume(&*store, "ann", 1, 0).await?, None, "forgotten");
    Ok(())
}

pub async fn a_user_keeps_the_latest_lost_sessions(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    for n in 1..=3 {
        let session = NewSession {
            key: SessionKey([n; 16]),
            owner: n.into(),
            sid: format!("sid-{n}"),
            user_id: "ann".into(),
            at: 1,
        };
        store.begin_session(session).await?;
    }
    for n in 1..=3 {
        store
            .mark_session_lost(SessionKey([n; 16]), n.into(), n.into(), 2)
            .await?;
    }
    for (n, kept) in [(1, false), (2, true), (3, true)] {
        let ask = Resume {
            key: SessionKey([n; 16]),
            owner: 9,
            user_id: "ann".into(),
            lost_since: 0,
        };
        assert_eq!(store.resume_session(ask).await?.is_some(), kept, "session {n}");
    }
    Ok(())
}

pub async fn leaving_a_room_ends_sessions_in_it(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (a, b) = (room(&*store, "a").await?.id, room(&*store, "b").await?.id);
    subscribed(&*store, &[a, b]).await?;
    // The connection itself unsubscribes.
    store.leave(b, "ann").await?;
    store.unsubscribe(KEY, 1, vec![b]).await?;
    let resumed = resume(&*store, "ann", 1, 0).await?;
    assert_eq!(resumed.as_ref().map(subscriptions), Some(vec![(a, 0)]));
    // A repeated subscription keeps its start; a new membership starts again.
    say(&*store, a, "bob", &["1"]).await?;
    store.subscribe(KEY, 1, a, 1, 1).await?;
    let resumed = resume(&*store, "ann", 1, 0).await?;
    assert_eq!(resumed.as_ref().map(subscriptions), Some(vec![(a, 0)]));
    store.leave(a, "ann").await?;
    // Times do not matter: the clock is far behind.
    let joined = store.join(a, "ann", 3).await?;
    assert_eq!(joined.map(|joined| joined.member.membership), Some(2));
    assert!(store.subscribe(KEY, 1, a, 1, 2).await?);
    let resumed = resume(&*store, "ann", 1, 0).await?;
    assert_eq!(resumed.as_ref().map(subscriptions), Some(vec![(a, 1)]));
    // Left and joined again on another connection.
    store.leave(a, "ann").await?;
    store.join(a, "ann", 2).await?;
    assert_eq!(resume(&*store, "ann", 1, 0).await?, None);
    Ok(())
}

pub async fn deleting_a_room_ends_sessions_in_it(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let a = room(&*store, "a").await?.id;
    subscribed(&*store, &[a]).await?;
    store.delete_room(a).await?;
    assert_eq!(resume(&*store, "ann", 1, 0).await?, None);
    Ok(())
}

pub(super) fn ask(rooms: &[(RoomId, u64)], after: u64, upto: u64) -> Missed {
    Missed {
        session: None,
        rooms: rooms.to_vec(),
        after: LogPosition(after),
        upto: LogPosition(upto),
        most: 10,
        most_bytes: 1_000,
    }
}

pub async fn missed_entries_come_in_position_order(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (a, b, c) = (
        room(&*store, "a").await?.id,
        room(&*store, "b").await?.id,
        room(&*store, "c").await?.id,
    );
    for n in 0..4 {
        for room in [a, b, c] {
            say(&*store, room, "bob", &[&n.to_string()]).await?;
        }
    }
    // Positions of a: 1, 4, 7, 10; of b: 2, 5, 8, 11.
    let missed = async |ask| -> Result<_, StoreError> {
        Ok(store
            .missed(ask)
            .await?
            .map(|logged| positions_of(&logged).into_iter().map(|(pos, ..)| pos).collect()))
    };
    assert_eq!(
        missed(ask(&[(a, 0), (b, 0)], 4, 10)).await?,
        Some(vec![5, 7, 8, 10])
    );
    assert_eq!(
        missed(ask(&[(a, 3), (b, 2)], 4, 12)).await?,
        Some(vec![8, 10, 11])
    );
    assert_eq!(missed(ask(&[(a, 4), (b, 4)], 0, 12)).await?, Some(vec![]));
    assert_eq!(missed(ask(&[(a, 0)], 12, 12)).await?, Some(vec![]));
    assert_eq!(missed(ask(&[(99, 0)], 0, 12)).await?, None, "no such room");
    let few = Missed {
        most: 3,
        ..ask(&[(a, 0), (b, 0)], 4, 10)
    };
    assert_eq!(missed(few).await?, None, "more than may be given");
    let small = Missed {
        most_bytes: 3,
        ..ask(&[(a, 0), (b, 0)], 4, 10)
    };
    assert_eq!(missed(small).await?, None, "larger than may be given");
    Ok(())
}

pub async fn missed_entries_that_are_gone_are_reported(harness: &dyn Harness) -> Outcome {
    let keep_two = Options {
        retention: Retention {
            max_entries: 2,
            ..Retention::default()
        },
        ..Options::default()
    };
    let store = harness.open(keep_two);
    let a = room(&*store, "a").await?.id;
    say(&*store, a, "bob", &["1", "2", "3", "4"]).await?;
    let page = read(&*store, a, Range::Last { upto: 9 }, 9).await?;
    assert_eq!(bodies(&page), ["3", "4"]);
    let missed = async |after_seq, after| -> Result<_, StoreError> {
        Ok(store
            .missed(ask(&[(a, after_seq)], after, 9))
            .await?
            .map(|logged| logged.len()))
    };
    assert_eq!(missed(0, 1).await?, None);
    assert_eq!(
        missed(0, 3).await?,
        Some(1),
        "the session had the expired entries"
    );
    assert_eq!(
        missed(2, 0).await?,
        Some(2),
        "the expired entries precede the subscription"
    );
    let everything = Retention {
        max_entries: 2,
        max_age_ms: 0,
        ..Retention::default()
    };
    store.trim(everything, i64::MAX).await?;
    assert_eq!(missed(0, 4).await?, None, "nothing is left to prove completeness");
    assert_eq!(missed(4, 0).await?, Some(0));
    Ok(())
}

pub async fn a_closed_store_resumes_no_session(harness: &dyn Harness) -> Outcome {
    let store: Arc<dyn Store> = harness.open(Options::default());
    subscribed(&*store, &[]).await?;
    store.close().await;
    assert_eq!(resume(&*store, "ann", 1, 0).await, Err(Outage::Closed.into()));
    Ok(())
}
