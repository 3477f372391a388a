//! Many at once, those who give up, and those who come back after a restart.

use std::{future::poll_fn, task::Poll};

use tokio::task::JoinSet;

use super::{Harness, Outcome, message, read, room, say, seqs};
use crate::{Appended, Options, Outage, Range, StoreError, Unread};

const SENDERS: u64 = 64;
const EACH: u64 = 25;

pub async fn many_senders_leave_no_hole(harness: &dyn Harness) -> Outcome {
    // Small bounds, so that senders also wait for a place in the queue.
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

pub async fn a_write_outlives_whoever_asked(harness: &dyn Harness) -> Outcome {
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

pub async fn all_is_there_after_reopening(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let before = room(&*store, "a").await?;
    say(&*store, before.id, "ann", &["1", "2"]).await?;
    store
        .append(vec![message(before.id, "ann", Some("k"), "3")])
        .await?;
    store.join(before.id, "bob", 7).await?;
    store.mark_read(before.id, "bob", 2, 8).await?;
    store.see_user("bob", Some("Bob"), 9).await?;
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

pub async fn a_closed_store_says_so(harness: &dyn Harness) -> Outcome {
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
