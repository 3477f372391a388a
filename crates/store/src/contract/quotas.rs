//! Quotas of users, and the removal of unused rooms.

use super::{Harness, Outcome, change, done, message, put, room};
use crate::{
    Appended, EntryKind, NewEntry, Options, Quotas, Rejected, Retention, RoomChange, RoomId, Store,
    StoreError,
};

const DAY: i64 = 24 * 3_600_000;

fn options(quotas: Quotas) -> Options {
    Options {
        quotas,
        ..Options::default()
    }
}

fn unlimited() -> Quotas {
    Quotas {
        daily_bytes: 0,
        daily_rooms: 0,
        edits: 0,
    }
}

/// A message of about 10 KB that counts towards its author's quota.
fn charged(room: RoomId, user: &str, at: i64) -> NewEntry {
    NewEntry {
        at,
        charged: true,
        ..message(room, user, None, &"x".repeat(10_000))
    }
}

/// Appends messages one by one until one is rejected. Answers how many were accepted.
async fn fill_up(store: &dyn Store, entry: &NewEntry) -> Result<usize, StoreError> {
    for accepted in 0..1_000 {
        match put(store, entry.clone()).await? {
            Ok(_) => {}
            Err(Rejected::DailyBytes) => return Ok(accepted),
            Err(other) => return Err(StoreError::Internal(format!("{other:?}"))),
        }
    }
    Ok(1_000)
}

pub async fn the_bytes_of_a_user_and_day_are_limited(harness: &dyn Harness) -> Outcome {
    let quotas = || {
        options(Quotas {
            daily_bytes: 1_000_000,
            ..unlimited()
        })
    };
    let store = harness.open(quotas());
    let room = room(&*store, "a").await?.id;
    let keyed = NewEntry {
        client_id: Some("k".into()),
        ..charged(room, "ann", 5)
    };
    done(&*store, keyed.clone()).await?;
    let accepted = fill_up(&*store, &charged(room, "ann", 6)).await?;
    assert!((90..100).contains(&accepted), "{accepted}");
    // A retry is free, and so is what the backend posts. Others have quotas of their own.
    assert_eq!(
        put(&*store, keyed).await?,
        Ok(Appended::Duplicate { seq: 1, at: 5 })
    );
    let posted = NewEntry {
        charged: false,
        ..charged(room, "ann", 7)
    };
    done(&*store, posted).await?;
    done(&*store, charged(room, "bob", 7)).await?;
    // In one batch: the rest of the batch is appended.
    let batch = vec![charged(room, "ann", 8), charged(room, "bob", 8)];
    let answers = store.append(batch).await?;
    assert_eq!(answers[0], Err(Rejected::DailyBytes));
    assert!(matches!(answers[1], Ok(Appended::New { .. })), "{answers:?}");
    // Changes count, too.
    let reaction = change(room, "ann", EntryKind::Reaction { removed: false }, 1, "+");
    let reaction = NewEntry {
        charged: true,
        body: "x".repeat(10_000),
        ..reaction
    };
    assert_eq!(put(&*store, reaction).await?, Err(Rejected::DailyBytes));

    store.close().await;
    let store = harness.open(quotas());
    assert_eq!(fill_up(&*store, &charged(room, "ann", DAY - 1)).await?, 0);
    let accepted = fill_up(&*store, &charged(room, "ann", DAY)).await?;
    assert!((90..100).contains(&accepted), "{accepted} on the next day");
    store.close().await;
    let store = harness.open(quotas());
    if let Some(other) = harness.open_another(quotas()) {
        let day = 2 * DAY;
        done(&*store, charged(room, "ann", day)).await?;
        let there = fill_up(&*other, &charged(room, "ann", day)).await?;
        let here = fill_up(&*store, &charged(room, "ann", day)).await?;
        assert!(
            (90..100).contains(&(there + here + 1)),
            "{there} and {here} on two nodes"
        );
        other.close().await;
    }
    Ok(())
}

pub async fn rooms_that_a_user_creates_in_a_day_are_limited(harness: &dyn Harness) -> Outcome {
    let quotas = || {
        options(Quotas {
            daily_rooms: 2,
            ..unlimited()
        })
    };
    let store = harness.open(quotas());
    let a = store.create_room("a", "ann", 1).await?;
    assert_eq!(a, store.open_room("a", false, 1).await?);
    assert!(a.is_some());
    assert!(store.create_room("b", "ann", 1).await?.is_some());
    assert_eq!(store.create_room("c", "ann", 1).await?, None);
    assert_eq!(store.open_room("c", false, 1).await?, None);
    assert_eq!(store.create_room("a", "ann", 1).await?, a, "it exists");
    assert!(store.create_room("c", "bob", 1).await?.is_some());
    store.close().await;
    let store = harness.open(quotas());
    assert_eq!(store.create_room("d", "ann", DAY - 1).await?, None);
    // Bytes and rooms share a row.
    let entry = charged(a.map(|room| room.id).unwrap_or_default(), "ann", 2);
    done(&*store, entry).await?;
    assert_eq!(store.create_room("d", "ann", DAY - 1).await?, None);
    assert!(store.create_room("d", "ann", DAY).await?.is_some());
    Ok(())
}

pub async fn a_room_that_was_never_used_goes(harness: &dyn Harness) -> Outcome {
    let store = harness.open(options(unlimited()));
    for name in ["empty", "left", "in", "written", "made", "changed"] {
        let room = store.create_room(name, "ann", 1_000).await?;
        let room = room.ok_or_else(|| StoreError::Internal("no room".into()))?;
        match name {
            "left" => {
                store.join(room.id, "ann", 1_000).await?;
                store.leave(room.id, "ann").await?;
            }
            "in" => _ = store.join(room.id, "ann", 1_000).await?,
            "written" => _ = done(&*store, message(room.id, "ann", None, "1")).await?,
            "made" => _ = store.delete_room(room.id).await?,
            "changed" => _ = store.put_room(name, RoomChange::default(), 1_000).await?,
            _ => {}
        }
    }
    store.put_room("made", RoomChange::default(), 1_000).await?;
    let limits = Retention {
        unused_rooms_for_ms: 500,
        max_age_ms: i64::MAX,
        ..Retention::default()
    };
    let names = async || -> Result<Vec<String>, StoreError> {
        let rooms = store.rooms(None, 99).await?;
        Ok(rooms.into_iter().map(|room| room.name).collect())
    };
    store.trim(limits, 1_500).await?;
    assert_eq!(names().await?.len(), 6, "not yet");
    store.trim(limits, 1_501).await?;
    assert_eq!(names().await?, ["changed", "in", "made", "written"]);
    // The time counts from the last look at the room.
    let room = room(&*store, "in").await?;
    store.leave(room.id, "ann").await?;
    store.trim(limits, 2_001).await?;
    assert_eq!(names().await?.len(), 4);
    store.trim(limits, 2_002).await?;
    assert_eq!(names().await?, ["changed", "made", "written"]);
    assert_eq!(store.join(room.id, "ann", 2_003).await?, None);
    Ok(())
}

pub async fn edits_of_a_message_are_limited(harness: &dyn Harness) -> Outcome {
    let two = || {
        options(Quotas {
            edits: 2,
            ..unlimited()
        })
    };
    let store = harness.open(two());
    let room = room(&*store, "a").await?.id;
    let edit = |text: &str| change(room, "ann", EntryKind::Edit, 1, text);
    let keyed = NewEntry {
        client_id: Some("e".into()),
        ..edit("2")
    };
    let entries = vec![
        message(room, "ann", None, "1"),
        keyed.clone(),
        edit("3"),
        edit("4"),
    ];
    let answers = store.append(entries).await?;
    assert!(answers[..3].iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(answers[3], Err(Rejected::TooManyEdits), "in one batch");
    store.close().await;
    let store = harness.open(two());
    assert_eq!(put(&*store, edit("5")).await?, Err(Rejected::TooManyEdits));
    assert_eq!(
        put(&*store, keyed).await?,
        Ok(Appended::Duplicate { seq: 2, at: 1_000 })
    );
    let reaction = change(room, "ann", EntryKind::Reaction { removed: false }, 1, "+");
    done(&*store, reaction).await?;
    done(&*store, change(room, "ann", EntryKind::Delete, 1, "")).await?;
    Ok(())
}
