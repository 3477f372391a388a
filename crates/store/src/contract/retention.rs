//! Retention of entries.

use super::{Harness, Outcome, message, read, room, say, seqs};
use crate::{Appended, Options, Range, Retention, RoomId, Store, StoreError};

const ALL: Range = Range::After {
    seq: 0,
    upto: u64::MAX,
};

fn keeping(max_entries: u64) -> Options {
    Options {
        retention: Retention {
            max_entries,
            ..Retention::default()
        },
        ..Options::default()
    }
}

/// The entries of a room: its first number, and all numbers.
async fn kept(store: &dyn Store, room: RoomId) -> Result<(u64, Vec<u64>), StoreError> {
    let page = read(store, room, ALL, 10_000).await?;
    Ok((page.first, seqs(&page)))
}

pub async fn an_append_removes_the_oldest_entries(harness: &dyn Harness) -> Outcome {
    let store = harness.open(keeping(5));
    let (a, b) = (room(&*store, "a").await?.id, room(&*store, "b").await?.id);
    say(&*store, b, "ann", &["1"]).await?;
    store.join(a, "bob", 1).await?;
    for upto in 1..=300u64 {
        say(&*store, a, "ann", &["1"]).await?;
        let first = upto.saturating_sub(4).max(1);
        assert_eq!(kept(&*store, a).await?, (first, (first..=upto).collect()));
    }
    assert_eq!(
        store.unread(a, "bob").await?.map(|unread| unread.messages),
        Some(5),
        "expired messages are not unread"
    );
    assert_eq!(kept(&*store, b).await?, (1, vec![1]));
    let before = read(&*store, a, Range::Before(298), 9).await?;
    assert_eq!((seqs(&before), before.more), (vec![296, 297], false));
    // Far more than is kept, in one call.
    assert_eq!(say(&*store, a, "ann", &["1"; 500]).await?, 800);
    assert_eq!(kept(&*store, a).await?, (796, (796..=800).collect()));
    Ok(())
}

pub async fn a_trim_removes_by_count_and_age(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (a, b, c) = (
        room(&*store, "a").await?.id,
        room(&*store, "b").await?.id,
        room(&*store, "c").await?.id,
    );
    // 1000 entries in `a`, one a millisecond; 3 in `b`, the newest of them with the oldest time; none in `c`.
    let mut entries: Vec<_> = (1..=1000).map(|at| (a, at)).collect();
    entries.extend([(b, 1001), (b, 1002), (b, 1)]);
    let entries = entries.into_iter().map(|(room, at)| {
        let mut entry = message(room, "ann", None, "1");
        entry.at = at;
        entry
    });
    store.append(entries.collect()).await?;

    let none = Retention {
        max_entries: u64::MAX,
        max_age_ms: i64::MAX,
    };
    assert_eq!(store.trim(none, 5000).await?, 0);
    assert_eq!(
        store
            .trim(
                Retention {
                    max_age_ms: 200,
                    ..none
                },
                900
            )
            .await?,
        699,
        "those before 700"
    );
    assert_eq!(kept(&*store, a).await?, (700, (700..=1000).collect()));
    assert_eq!(
        kept(&*store, b).await?,
        (1, vec![1, 2, 3]),
        "an old one behind a young one stays"
    );
    assert_eq!(
        store
            .trim(
                Retention {
                    max_entries: 2,
                    ..none
                },
                900
            )
            .await?,
        300
    );
    assert_eq!(kept(&*store, a).await?, (999, vec![999, 1000]));
    assert_eq!(
        store
            .trim(
                Retention {
                    max_age_ms: 0,
                    ..none
                },
                5000
            )
            .await?,
        4
    );
    assert_eq!(kept(&*store, a).await?, (1001, vec![]));
    assert_eq!(kept(&*store, b).await?, (4, vec![]));
    assert_eq!(kept(&*store, c).await?, (1, vec![]));
    assert_eq!(
        store
            .trim(
                Retention {
                    max_age_ms: 0,
                    ..none
                },
                5000
            )
            .await?,
        0
    );
    Ok(())
}

pub async fn a_client_id_is_free_when_its_entry_is_gone(harness: &dyn Harness) -> Outcome {
    let store = harness.open(keeping(2));
    let room = room(&*store, "a").await?.id;
    let keyed = || vec![message(room, "ann", Some("k"), "1")];
    store.append(keyed()).await?;
    say(&*store, room, "ann", &["1"]).await?;
    assert_eq!(
        store.append(keyed()).await?,
        [Ok(Appended::Duplicate { seq: 1, at: 1_000 })]
    );
    say(&*store, room, "ann", &["1"]).await?;
    assert_eq!(
        store.append(keyed()).await?,
        [Ok(Appended::New { seq: 4, at: 1_000 })]
    );
    assert_eq!(
        store.append(keyed()).await?,
        [Ok(Appended::Duplicate { seq: 4, at: 1_000 })]
    );
    assert_eq!(kept(&*store, room).await?, (3, vec![3, 4]));
    Ok(())
}

pub async fn a_trimmed_room_continues_its_numbers(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    say(&*store, room, "ann", &["1", "2", "3"]).await?;
    store
        .trim(
            Retention {
                max_entries: 10,
                max_age_ms: 0,
            },
            5_000,
        )
        .await?;
    assert_eq!(say(&*store, room, "ann", &["4"]).await?, 4);
    assert_eq!(kept(&*store, room).await?, (4, vec![4]));
    // With a lower limit after a restart.
    store.close().await;
    let store = harness.open(keeping(2));
    say(&*store, room, "ann", &["5", "6"]).await?;
    assert_eq!(kept(&*store, room).await?, (5, vec![5, 6]));
    Ok(())
}
