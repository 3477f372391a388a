//! Retention of entries.

use super::{Harness, Outcome, change, done, message, put, read, room, say, seqs};
use crate::{Appended, EntryKind, NewEntry, Options, Range, Rejected, Retention, RoomId, Store, StoreError};

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
        ..Retention::default()
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

/// Trims by the time `now`, in milliseconds, with these dedup limits.
async fn trim_dedup(store: &dyn Store, dedup_for_ms: i64, dedup_per_room: u64, now: i64) -> Outcome {
    let limits = Retention {
        dedup_for_ms,
        dedup_per_room,
        ..Retention::default()
    };
    store.trim(limits, now).await?;
    Ok(())
}

pub async fn a_retry_after_trimming_gets_the_first_answer(harness: &dyn Harness) -> Outcome {
    let store = harness.open(keeping(50));
    let room = room(&*store, "a").await?.id;
    let odd = "\u{0}odd\u{1}\u{2}\n\u{1F600}";
    let keyed = |body: &str| message(room, "ann", Some("k\u{1}"), body);
    done(&*store, keyed(odd)).await?;
    let again = Ok(Appended::Duplicate { seq: 1, at: 1_000 });
    let conflict = Err(Rejected::Conflict { seq: 1 });
    // 60 others remove it from sight, 300 from the disk.
    for (count, head) in [(60, 61), (240, 301)] {
        say(&*store, room, "bob", &vec!["1"; count]).await?;
        assert_eq!(put(&*store, keyed(odd)).await?, again);
        assert_eq!(put(&*store, keyed("other")).await?, conflict);
        let edit = NewEntry {
            client_id: Some("k\u{1}".into()),
            ..change(room, "ann", EntryKind::Edit, 301, odd)
        };
        assert_eq!(put(&*store, edit).await?, conflict);
        assert_eq!(
            read(&*store, room, ALL, 1).await?.head,
            head,
            "nothing was stored"
        );
    }
    // Another user, and another room, have client ids of their own.
    let others = message(room, "bob", Some("k\u{1}"), odd);
    assert_eq!(done(&*store, others).await?, 302);
    store.close().await;
    let store = harness.open(keeping(50));
    assert_eq!(put(&*store, keyed(odd)).await?, again);
    // Retention by age keeps the record, too, until its own time is over.
    let everything = Retention {
        max_age_ms: 0,
        dedup_for_ms: 1_000,
        ..Retention::default()
    };
    store.trim(everything, 2_000).await?;
    assert_eq!(kept(&*store, room).await?, (303, vec![]));
    assert_eq!(put(&*store, keyed(odd)).await?, again);
    store.trim(everything, 2_001).await?;
    let new = Ok(Appended::New { seq: 303, at: 1_000 });
    assert_eq!(put(&*store, keyed(odd)).await?, new);
    Ok(())
}

pub async fn a_retried_change_is_recognised_after_trimming(harness: &dyn Harness) -> Outcome {
    let store = harness.open(keeping(10));
    let room = room(&*store, "a").await?.id;
    let keyed = |entry: NewEntry, key: &str| NewEntry {
        client_id: Some(key.into()),
        ..entry
    };
    let sent = [
        keyed(message(room, "ann", None, "secret"), "m"),
        keyed(change(room, "ann", EntryKind::Edit, 1, "secret edit"), "e"),
        keyed(
            change(room, "ann", EntryKind::Reaction { removed: false }, 1, "+"),
            "r",
        ),
        keyed(change(room, "ann", EntryKind::Delete, 1, ""), "d"),
    ];
    store.append(sent.to_vec()).await?;
    let again: Vec<_> = (1..=4)
        .map(|seq| Ok(Appended::Duplicate { seq, at: 1_000 }))
        .collect();
    for count in [10, 200] {
        say(&*store, room, "bob", &vec!["1"; count]).await?;
        assert_eq!(store.append(sent.to_vec()).await?, again);
        let found = recorded(&*store, room, "m").await?;
        assert_eq!(found, Some((1, EntryKind::Message, None)));
        let found = recorded(&*store, room, "r").await?;
        assert_eq!(found, Some((3, EntryKind::Reaction { removed: false }, Some(1))));
        assert_eq!(recorded(&*store, room, "x").await?, None);
        assert_eq!(store.recorded(room, "bob", "m").await?, None);
        // Erased texts are not compared.
        let other = keyed(message(room, "ann", None, "other"), "m");
        assert_eq!(put(&*store, other).await?, again[0]);
        let other = keyed(change(room, "ann", EntryKind::Edit, 1, "other"), "e");
        assert_eq!(put(&*store, other).await?, again[1]);
        let other = keyed(
            change(room, "ann", EntryKind::Reaction { removed: false }, 1, "-"),
            "r",
        );
        assert_eq!(put(&*store, other).await?, Err(Rejected::Conflict { seq: 3 }));
    }
    Ok(())
}

/// Number, kind and target of what ann appended under a client id.
async fn recorded(
    store: &dyn Store,
    room: RoomId,
    client_id: &str,
) -> Result<Option<(u64, EntryKind, Option<u64>)>, StoreError> {
    let recorded = store.recorded(room, "ann", client_id).await?;
    Ok(recorded.map(|recorded| (recorded.seq, recorded.kind, recorded.target)))
}

pub async fn dedup_records_of_a_room_are_bounded(harness: &dyn Harness) -> Outcome {
    let store = harness.open(keeping(10));
    let room = room(&*store, "a").await?.id;
    let keyed = |n: u64| message(room, "ann", Some(&n.to_string()), "1");
    store.append((1..=3_000).map(keyed).collect()).await?;
    // The trim removes the rest of the entries, and then has room for 100 records.
    trim_dedup(&*store, i64::MAX, 100, 1_000).await?;
    let again = |seq| Ok(Appended::Duplicate { seq, at: 1_000 });
    assert_eq!(put(&*store, keyed(3_000)).await?, again(3_000));
    assert_eq!(put(&*store, keyed(2_891)).await?, again(2_891));
    let new = Ok(Appended::New {
        seq: 3_001,
        at: 1_000,
    });
    assert_eq!(put(&*store, keyed(2_890)).await?, new, "one too many");
    // By age, in several commits.
    trim_dedup(&*store, 0, 5_000, 1_000).await?;
    assert_eq!(put(&*store, keyed(2_891)).await?, again(2_891));
    trim_dedup(&*store, 0, 5_000, 1_001).await?;
    let new = Ok(Appended::New {
        seq: 3_002,
        at: 1_000,
    });
    assert_eq!(put(&*store, keyed(2_891)).await?, new);
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
                ..Retention::default()
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
