//! Concurrent callers, callers that give up, and restarts.

use std::{future::poll_fn, task::Poll};

use futures_util::future::try_join_all;

use tokio::{task::JoinSet, try_join};

use super::{Harness, Outcome, message, read, room, say, seqs};
use crate::{
    Appended, DeliveredUpto, Missed, NewNotification, NewSession, Options, Outage, Range, Resume, RoomId,
    SessionKey, Store, StoreError, Unread,
};

const SENDERS: u64 = 64;
const EACH: u64 = 25;

pub async fn many_senders_leave_no_hole(harness: &dyn Harness) -> Outcome {
    // Small limits, so that senders also wait for a place in the queue.
    let options = Options {
        queue_writes: 8,
        queue_bytes: 4096,
        batch_writes: 16,
        ..Options::default()
    };
    let store = harness.open(options);
    let rooms = [room(&*store, "a").await?.id, room(&*store, "b").await?.id];
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let store = store.clone();
        senders.spawn(async move {
            let mut seqs = Vec::new();
            for n in 0..EACH {
                let key = format!("{n}");
                let entries =
                    rooms.map(|room| message(room, &format!("user{sender}"), Some(&key), "\"hello\""));
                for answer in store.append(entries.to_vec()).await? {
                    let Ok(Appended::New { seq, .. }) = answer else {
                        panic!("{answer:?}")
                    };
                    seqs.push(seq);
                }
            }
            Ok::<_, StoreError>(seqs)
        });
    }
    let mut given = [Vec::new(), Vec::new()];
    while let Some(sent) = senders.join_next().await {
        let sent = sent.map_err(|error| StoreError::Internal(error.to_string()))??;
        for (room, given) in given.iter_mut().enumerate() {
            let seqs: Vec<u64> = sent.iter().skip(room).step_by(2).copied().collect();
            assert!(seqs.is_sorted(), "one sender's numbers ascend: {seqs:?}");
            given.extend(seqs);
        }
    }
    for (room, mut given) in rooms.into_iter().zip(given) {
        given.sort_unstable();
        assert!(
            given.iter().copied().eq(1..=SENDERS * EACH),
            "each number was given once"
        );
        let page = read(&*store, room, Range::Last { upto: u64::MAX }, 10_000).await?;
        assert_eq!(seqs(&page), given);
    }
    Ok(())
}

pub async fn one_client_id_sent_at_once_is_one_entry(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let store = store.clone();
        senders.spawn(async move { store.append(vec![message(room, "ann", Some("k"), "1")]).await });
    }
    let mut new = 0;
    while let Some(answer) = senders.join_next().await {
        match answer.map_err(|error| StoreError::Internal(error.to_string()))??[..] {
            [Ok(Appended::New { seq: 1, .. })] => new += 1,
            [Ok(Appended::Duplicate { seq: 1, .. })] => {}
            ref other => panic!("{other:?}"),
        }
    }
    assert_eq!(new, 1);
    Ok(())
}

pub async fn a_write_survives_its_caller(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    for _ in 0..50 {
        let mut sending = store.append(vec![message(room, "ann", None, "1")]);
        poll_fn(|context| {
            let _ = sending.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
        drop(sending);
    }
    assert_eq!(say(&*store, room, "ann", &["last"]).await?, 51);
    assert_eq!(
        read(&*store, room, Range::Before(u64::MAX), 100)
            .await?
            .entries
            .len(),
        51
    );
    Ok(())
}

pub async fn everything_survives_a_restart(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let before = room(&*store, "a").await?;
    say(&*store, before.id, "ann", &["1", "2"]).await?;
    store
        .append(vec![message(before.id, "ann", Some("k"), "3")])
        .await?;
    store.join(before.id, "bob", 7).await?;
    store.mark_read(before.id, "bob", 2, 8).await?;
    store.touch_user("bob", Some("Bob"), 9).await?;
    let page = read(&*store, before.id, Range::Before(9), 9).await?;
    let member = store.member(before.id, "bob").await?;
    store.close().await;
    drop(store);

    let store = harness.open(Options::default());
    let after = room(&*store, "a").await?;
    assert_eq!(
        (after.id, &after.epoch, after.head),
        (before.id, &before.epoch, 3)
    );
    assert_eq!(read(&*store, before.id, Range::Before(9), 9).await?, page);
    assert_eq!(store.member(before.id, "bob").await?, member);
    let unread = Unread {
        messages: 1,
        mentions: 0,
    };
    assert_eq!(store.unread(before.id, "bob").await?, Some(unread));
    assert_eq!(store.users(&["bob".into()]).await?.len(), 1);
    let retry = store
        .append(vec![message(before.id, "ann", Some("k"), "3")])
        .await?;
    assert_eq!(retry, [Ok(Appended::Duplicate { seq: 3, at: 1_000 })]);
    assert_eq!(say(&*store, before.id, "ann", &["4"]).await?, 4);
    Ok(())
}

pub async fn a_closed_store_reports_it(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    store.check().await?;
    store.close().await;
    store.close().await;
    let closed = StoreError::Unavailable(Outage::Closed);
    assert_eq!(
        store.append(vec![message(room, "ann", None, "1")]).await,
        Err(closed.clone())
    );
    assert_eq!(store.member(room, "ann").await, Err(closed.clone()));
    assert_eq!(store.check().await, Err(closed));
    Ok(())
}

/// Number of users who reconnect, each with different state.
const GUESTS: u8 = 40;

fn guest(n: u8) -> String {
    // Contains a character that a column stores escaped.
    format!("guest\u{0}{n}")
}

/// The calls that a server makes for one reconnecting client.
async fn comes_back(store: &dyn Store, rooms: &[RoomId], n: u8) -> Outcome {
    let (user, key, number) = (guest(n), SessionKey([n; 16]), u64::from(n));
    let name = format!("hall-{n}");
    let room = *rooms.get(usize::from(n)).unwrap_or(&0);
    let before = n.is_multiple_of(3).then_some(i64::from(n));
    assert_eq!(store.revoked(&user).await?, before);
    store.mark_session_lost(key, number, i64::from(n), 9).await?;
    let ask = |owner, user_id: &str| Resume {
        key,
        owner,
        user_id: user_id.into(),
        lost_since: i64::from(n),
    };
    assert_eq!(store.resume_session(ask(0, "eve")).await?, None);
    let resumed = store.resume_session(ask(number + 100, &user)).await?;
    assert_eq!(resumed.map(|resumed| resumed.sid), Some(format!("sid-{n}")));
    let found = store.open_room(&name, false, 1).await?;
    assert_eq!(found.map(|room| room.id), Some(room));
    assert_eq!(store.open_room(&format!("{name}?"), false, 1).await?, None);
    let theirs = store.rooms_of(&user, 9).await?;
    assert_eq!(
        theirs.iter().map(|room| &*room.name).collect::<Vec<_>>(),
        [&*name]
    );
    let missed = Missed {
        session: None,
        rooms: vec![(room, 0)],
        after: crate::LogPosition::ZERO,
        upto: crate::LogPosition::MAX,
        most: 9,
        most_bytes: 1_000,
    };
    let missed = store.missed(missed).await?.unwrap_or_default();
    let missed: Vec<_> = missed.iter().map(|logged| &*logged.entry.body).collect();
    assert_eq!(missed, [&*name]);
    let seen = store.users(&[user.clone(), "nobody".into()]).await?;
    let seen: Vec<_> = seen
        .iter()
        .map(|seen| (&*seen.user_id, seen.name.as_deref()))
        .collect();
    assert_eq!(seen, [(&*user, Some("Guest"))]);
    let left = store
        .undelivered(&user, "phone", DeliveredUpto::Stored, 9, 1_000)
        .await?;
    let left: Vec<_> = left.notifications.iter().map(|one| &*one.id).collect();
    assert_eq!(left, if n.is_multiple_of(2) { vec!["even"] } else { vec![] });
    Ok(())
}

pub async fn concurrent_reconnects_receive_their_own_state(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let mut rooms = Vec::new();
    for n in 0..GUESTS {
        let name = format!("hall-{n}");
        let id = room(&*store, &name).await?.id;
        store.join(id, &guest(n), 1).await?;
        say(&*store, id, "host", &[&*name]).await?;
        if n.is_multiple_of(3) {
            store.revoke(&guest(n), i64::from(n)).await?;
        }
        rooms.push(id);
    }
    let even = NewNotification {
        id: "even".into(),
        users: (0..GUESTS).step_by(2).map(guest).collect(),
        body: "{}".into(),
        at: 1,
        from: None,
    };
    store.notify(even).await?;
    let come = (0..GUESTS).map(|n| {
        let (user, number) = (guest(n), u64::from(n));
        let (key, sid) = (SessionKey([n; 16]), format!("sid-{n}"));
        let session = NewSession {
            key,
            owner: number,
            sid,
            user_id: user.clone(),
            at: 0,
        };
        let store = &store;
        async move {
            // Each is seen twice, the second time without a name and earlier.
            let twice = (
                store.touch_user(&user, Some("Guest"), 7),
                store.touch_user(&user, None, 5),
            );
            try_join!(store.begin_session(session), twice.0, twice.1)
        }
    });
    try_join_all(come).await?;
    let ids: Vec<_> = (0..GUESTS).map(guest).collect();
    let seen = store.users(&ids).await?;
    assert!(seen.iter().all(|user| user.last_seen == 7));
    let back = (0..GUESTS).map(|n| comes_back(&*store, &rooms, n));
    try_join_all(back).await.map(drop)
}
