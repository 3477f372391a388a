//! Records for sinks: written with their causes, due in order, settled once.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::{Harness, Outcome, message, room, say};
use crate::{
    DeliveryCheck, EntryKind, LifecycleEvent, OnlineUser, Options, Outbox, OutboxOptions, OutboxRetention,
    OutboxTrimmed, Outcome as Fate, Record, RecordKind, RecordState, Replay, RoomId, Settled, Sink, Store,
    StoreError, UndeliveredReport, outbox::REPLAY_BATCH,
};

fn sink(name: &str, kinds: &[RecordKind]) -> Sink {
    Sink {
        name: name.into(),
        kinds: kinds.to_vec(),
    }
}

fn with(sinks: Vec<Sink>) -> Options {
    Options {
        outbox: OutboxOptions {
            sinks,
            first_check_ms: 5,
            last_check_ms: 30,
            members_max: 3,
            ..OutboxOptions::default()
        },
        ..Options::default()
    }
}

/// Options with a sink that receives undelivered messages.
pub(super) fn with_undelivered() -> Options {
    with(vec![sink("all", &[RecordKind::MessageUndelivered])])
}

pub(super) fn all(harness: &dyn Harness) -> Arc<dyn Store> {
    harness.open(with(vec![sink("all", &RecordKind::ALL)]))
}

fn outbox(store: &Arc<dyn Store>) -> Result<&dyn Outbox, StoreError> {
    store
        .outbox()
        .ok_or_else(|| StoreError::Internal("no outbox".into()))
}

pub(super) async fn due(store: &Arc<dyn Store>, sink: &str) -> Result<Vec<Record>, StoreError> {
    outbox(store)?.due(sink, 1_000_000, 100).await
}

fn kinds(records: &[Record]) -> Vec<RecordKind> {
    records.iter().map(|record| record.kind).collect()
}

async fn settle(store: &Arc<dyn Store>, n: i64, outcome: Fate, now: i64) -> Outcome {
    outbox(store)?.settle(vec![Settled { n, outcome }], now).await
}

pub async fn each_sink_receives_its_kinds(harness: &dyn Harness) -> Outcome {
    use RecordKind::{MessageCreated, RoomCreated, RoomEmptied, UserOnline};

    let store = harness.open(with(vec![
        sink("all", &RecordKind::ALL),
        sink("rooms", &[RecordKind::RoomCreated, RecordKind::RoomEmptied]),
    ]));
    let changes = outbox(&store)?.changes();
    let room = room(&*store, "a").await?;
    assert!(
        changes.has_changed().unwrap_or_default(),
        "the change is notified"
    );
    store
        .append(vec![message(room.id, "ann", Some("c1"), "{\"text\":\"hi\"}")])
        .await?;
    let events = vec![
        LifecycleEvent::UserOnline {
            user: "ann".into(),
            name: Some("Ann".into()),
            at: 1_001,
        },
        LifecycleEvent::RoomEmptied {
            room: room.id,
            at: 1_002,
        },
        LifecycleEvent::RoomEmptied {
            room: room.id + 1,
            at: 1_003,
        },
    ];
    outbox(&store)?.record(events).await?;
    let records = due(&store, "all").await?;
    assert_eq!(
        kinds(&records),
        [RoomCreated, MessageCreated, UserOnline, RoomEmptied]
    );
    let told = &records[1];
    assert_eq!(
        (told.room.as_deref(), told.epoch.as_deref(), told.seq, told.at),
        (Some("a"), Some(room.epoch.as_str()), Some(1), 1_000)
    );
    assert_eq!(
        (
            told.user_id.as_deref(),
            told.client_id.as_deref(),
            told.body.as_deref()
        ),
        (Some("ann"), Some("c1"), Some("{\"text\":\"hi\"}"))
    );
    let others = due(&store, "rooms").await?;
    assert_eq!(kinds(&others), [RoomCreated, RoomEmptied]);
    assert_eq!(others[0].id, records[0].id, "one id per event");
    assert!(others[0].n != records[0].n);
    Ok(())
}

pub async fn without_sinks_nothing_is_written(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    assert!(store.outbox().is_none());
    let room = room(&*store, "a").await?;
    say(&*store, room.id, "ann", &["1", "2"]).await?;
    store.close().await;
    let store = all(harness);
    assert_eq!(outbox(&store)?.counts().await?, []);
    assert_eq!(outbox(&store)?.due_checks(1_000_000, 10).await?, []);
    Ok(())
}

pub async fn a_settled_record_is_not_due(harness: &dyn Harness) -> Outcome {
    let store = all(harness);
    let room = room(&*store, "a").await?;
    say(&*store, room.id, "ann", &["1", "2"]).await?;
    let records = due(&store, "all").await?;
    let [created, one, two] = &records[..] else {
        panic!("{records:?}")
    };
    settle(&store, created.n, Fate::Delivered, 2_000).await?;
    let retry = Fate::Retry {
        at: 5_000,
        error: "500".into(),
    };
    settle(&store, one.n, retry, 2_000).await?;
    settle(&store, two.n, Fate::Dead { error: "gone".into() }, 2_000).await?;
    assert_eq!(outbox(&store)?.due("all", 4_999, 9).await?, []);
    assert_eq!(outbox(&store)?.next_due("all", 4_999).await?, Some(5_000));
    // Survives a restart.
    store.close().await;
    let store = all(harness);
    let again = outbox(&store)?.due("all", 5_000, 9).await?;
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].attempts, again[0].last_error.as_deref()),
        (1, Some("500"))
    );
    assert_eq!((&again[0].id, &again[0].body), (&one.id, &one.body));
    settle(&store, two.n, Fate::Delivered, 6_000).await?;
    let dead = outbox(&store)?.list(Some(RecordState::Dead), 9).await?;
    assert_eq!(
        dead.iter().map(|record| record.n).collect::<Vec<_>>(),
        [two.n],
        "settled once"
    );
    Ok(())
}

pub async fn a_record_from_a_clock_that_was_ahead_is_due(harness: &dyn Harness) -> Outcome {
    let options = OutboxOptions {
        retry_max_ms: 1_000,
        ..OutboxOptions::to_one_sink()
    };
    let store = harness.open(Options {
        outbox: options,
        ..Options::default()
    });
    let ids = |events: Vec<Record>| events.iter().map(|record| record.n).collect::<Vec<_>>();
    let online = |user: &str, at| LifecycleEvent::UserOnline {
        user: user.into(),
        name: None,
        at,
    };
    let outbox = outbox(&store)?;
    outbox
        .record(vec![online("now", 9_000), online("ahead", 500_000)])
        .await?;
    let records = outbox.due("all", 600_000, 9).await?;
    let [now, ahead] = &records[..] else {
        panic!("{records:?}")
    };
    let retry = Fate::Retry {
        at: 11_000,
        error: "down".into(),
    };
    settle(&store, now.n, retry, 10_000).await?;
    // The clock steps back. A retry waits for its time, and nothing waits longer than the longest retry.
    assert_eq!(ids(outbox.due("all", 10_000, 9).await?), [ahead.n]);
    assert_eq!(outbox.next_due("all", 10_000).await?, Some(11_000));
    assert_eq!(ids(outbox.due("all", 11_000, 9).await?), [now.n, ahead.n]);
    assert_eq!(ids(outbox.due("all", 11_000, 1).await?), [now.n]);
    let retry = Fate::Retry {
        at: 11_500,
        error: "down".into(),
    };
    settle(&store, ahead.n, retry, 11_000).await?;
    assert_eq!(ids(outbox.due("all", 11_000, 9).await?), [now.n]);
    assert_eq!(outbox.next_due("all", 11_000).await?, Some(11_500));
    Ok(())
}

pub async fn a_retry_of_a_message_makes_no_second_record(harness: &dyn Harness) -> Outcome {
    let store = harness.open(with(vec![sink("all", &[RecordKind::MessageCreated])]));
    let room = room(&*store, "a").await?;
    for _ in 0..3 {
        store
            .append(vec![message(room.id, "ann", Some("c"), "1")])
            .await?;
    }
    store
        .append(vec![
            message(room.id, "ann", Some("c"), "2"),
            message(room.id + 1, "ann", None, "1"),
        ])
        .await?;
    assert_eq!(due(&store, "all").await?.len(), 1);
    Ok(())
}

async fn crowd(store: &dyn Store, room: RoomId, users: &[&str]) -> Outcome {
    for user in users {
        store.join(room, user, 1).await?;
    }
    Ok(())
}

pub(super) async fn looks(store: &Arc<dyn Store>, now: i64) -> Result<Vec<(u64, bool, String)>, StoreError> {
    let found = outbox(store)?.due_checks(now, 10).await?;
    Ok(found
        .into_iter()
        .map(
            |DeliveryCheck {
                 seq, last, waiting, ..
             }| (seq, last, waiting.join(" ")),
        )
        .collect())
}

pub async fn acknowledgements_are_checked_twice(harness: &dyn Harness) -> Outcome {
    let store = harness.open(with(vec![sink("all", &[RecordKind::MessageUndelivered])]));
    let room = room(&*store, "a").await?;
    crowd(&*store, room.id, &["ann", "bob", "cy"]).await?;
    say(&*store, room.id, "ann", &["1"]).await?;
    store.join(room.id, "dan", 2_000).await?;
    store.leave(room.id, "dan").await?;
    assert_eq!(looks(&store, 1_004).await?, []);
    assert_eq!(looks(&store, 1_005).await?, [(1, false, "bob cy".into())]);
    let alert = |last, users: &[&str]| UndeliveredReport {
        room: room.id,
        seq: 1,
        last,
        users: users.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(
        outbox(&store)?
            .report_undelivered(vec![alert(false, &["bob"])])
            .await?,
        1
    );
    assert_eq!(looks(&store, 1_029).await?, []);
    assert_eq!(
        looks(&store, 1_030).await?,
        [(1, true, "cy".into())],
        "bob was reported already"
    );
    assert_eq!(
        outbox(&store)?
            .report_undelivered(vec![alert(true, &["bob", "cy"])])
            .await?,
        1
    );
    assert_eq!(
        outbox(&store)?
            .report_undelivered(vec![alert(true, &["cy"])])
            .await?,
        0,
        "the checks are done"
    );
    assert_eq!(looks(&store, 9_999).await?, []);
    let recorded = due(&store, "all").await?;
    let recorded: Vec<_> = recorded
        .iter()
        .map(|record| (record.recipients.join(" "), record.at))
        .collect();
    assert_eq!(recorded, [("bob".into(), 1_000), ("cy".into(), 1_000)]);

    crowd(&*store, room.id, &["eve"]).await?;
    say(&*store, room.id, "ann", &["2"]).await?;
    assert_eq!(
        looks(&store, 1_005).await?,
        [(2, false, String::new())],
        "the room is too large"
    );
    Ok(())
}

pub async fn a_mark_withdraws_pending_records(harness: &dyn Harness) -> Outcome {
    let store = harness.open(with(vec![sink("all", &[RecordKind::MessageUndelivered])]));
    let room = room(&*store, "a").await?;
    crowd(&*store, room.id, &["ann", "bob"]).await?;
    say(&*store, room.id, "ann", &["1", "2", "3"]).await?;
    store.mark_read(room.id, "bob", 1, 1_001).await?;
    let found = outbox(&store)?.due_checks(1_005, 10).await?;
    let waiting: Vec<_> = found.iter().map(|look| look.waiting.len()).collect();
    assert_eq!(waiting, [0, 1, 1]);
    // Another mark may arrive between the check and the record.
    store.mark_read(room.id, "bob", 2, 1_002).await?;
    let alerts = found.into_iter().map(|look| UndeliveredReport {
        room: look.room,
        seq: look.seq,
        last: look.last,
        users: look.waiting,
    });
    assert_eq!(outbox(&store)?.report_undelivered(alerts.collect()).await?, 1);
    assert_eq!(due(&store, "all").await?.len(), 1);
    store.mark_read(room.id, "bob", 3, 1_007).await?;
    assert_eq!(due(&store, "all").await?, []);

    // A delivered mark suffices, and a deleted message is not reported.
    say(&*store, room.id, "ann", &["4", "5"]).await?;
    store.mark_room_delivered(room.id, "bob", 4).await?;
    let mut deletion = message(room.id, "ann", None, "{}");
    (deletion.kind, deletion.target) = (EntryKind::Delete, Some(5));
    store.append(vec![deletion]).await?;
    let found = outbox(&store)?.due_checks(1_005, 10).await?;
    let waiting: Vec<_> = found.iter().map(|look| (look.seq, look.waiting.len())).collect();
    assert_eq!(
        waiting.iter().filter(|(seq, _)| *seq > 3).collect::<Vec<_>>(),
        [&(4, 0), &(5, 0)]
    );
    Ok(())
}

pub async fn dead_records_are_replayed(harness: &dyn Harness) -> Outcome {
    let store = all(harness);
    let room = room(&*store, "a").await?;
    say(&*store, room.id, "ann", &["1"]).await?;
    for record in due(&store, "all").await? {
        settle(&store, record.n, Fate::Dead { error: "no".into() }, 2_000).await?;
    }
    let dead = outbox(&store)?.list(Some(RecordState::Dead), 9).await?;
    assert_eq!(dead.len(), 2);
    let id = dead[0].id.clone();
    assert_eq!(outbox(&store)?.replay(Replay::Id("none".into()), 3_000).await?, 0);
    assert_eq!(outbox(&store)?.replay(Replay::Id(id.clone()), 3_000).await?, 1);
    let again = due(&store, "all").await?;
    assert_eq!(again.len(), 1);
    assert_eq!(
        (&again[0].id, again[0].attempts, &again[0].last_error),
        (&id, 0, &None)
    );
    assert_eq!(outbox(&store)?.replay(Replay::Dead, 3_000).await?, 1);
    assert_eq!(due(&store, "all").await?.len(), 2);
    Ok(())
}

pub async fn a_replay_lets_other_writes_pass(harness: &dyn Harness) -> Outcome {
    let store = harness.open(with(vec![sink("all", &[RecordKind::MessageCreated])]));
    let room = room(&*store, "a").await?;
    let records = REPLAY_BATCH * 4 + 1;
    for _ in 0..records.div_ceil(REPLAY_BATCH) {
        say(&*store, room.id, "ann", &["hi"; REPLAY_BATCH as usize]).await?;
    }
    let outbox = outbox(&store)?;
    let dead = |record: Record| Settled {
        n: record.n,
        outcome: Fate::Dead { error: "no".into() },
    };
    let due = outbox.due("all", 1_000_000, records).await?;
    outbox.settle(due.into_iter().map(dead).collect(), 2_000).await?;

    let mut replay = outbox.replay(Replay::Dead, 3_000);
    let mut left = Vec::new();
    // Between two polls, a replay ends at most one commit.
    let replayed = loop {
        if let Some(replayed) = (&mut replay).now_or_never() {
            break replayed?;
        }
        say(&*store, room.id, "bob", &["meanwhile"]).await?;
        left.push(dead_records(outbox).await?);
    };
    assert_eq!(replayed, u64::from(records));
    assert_eq!(dead_records(outbox).await?, 0);
    left.retain(|left| (1..replayed).contains(left));
    assert!(!left.is_empty(), "one commit made all records due");
    Ok(())
}

async fn dead_records(outbox: &dyn Outbox) -> Result<u64, StoreError> {
    let counts = outbox.counts().await?;
    let dead = counts.iter().filter(|count| count.state == RecordState::Dead);
    Ok(dead.map(|count| count.records).sum())
}

pub async fn recorded_online_users_are_remembered(harness: &dyn Harness) -> Outcome {
    let store = all(harness);
    let came = |user: &str, name: Option<&str>| LifecycleEvent::UserOnline {
        user: user.into(),
        name: name.map(Into::into),
        at: 10,
    };
    let events = vec![came("ann", Some("Ann")), came("bob", None), came("cy", None)];
    outbox(&store)?.record(events).await?;
    let went = LifecycleEvent::UserOffline {
        user: "bob".into(),
        name: None,
        at: 20,
    };
    outbox(&store)?.record(vec![went]).await?;
    let row = |user: &str, name: Option<&str>| OnlineUser {
        user_id: user.into(),
        name: name.map(Into::into),
    };
    store.close().await;
    let store = all(harness);
    assert_eq!(
        outbox(&store)?.online("", 9).await?,
        [row("ann", Some("Ann")), row("cy", None)]
    );
    assert_eq!(outbox(&store)?.online("ann", 9).await?, [row("cy", None)]);
    Ok(())
}

pub async fn old_and_surplus_records_are_removed(harness: &dyn Harness) -> Outcome {
    let store = all(harness);
    let room = room(&*store, "a").await?;
    say(&*store, room.id, "ann", &["1", "2", "3", "4", "5"]).await?;
    let records = due(&store, "all").await?;
    settle(&store, records[0].n, Fate::Delivered, 2_000).await?;
    settle(&store, records[1].n, Fate::Dead { error: String::new() }, 2_000).await?;
    settle(&store, records[2].n, Fate::Delivered, 2_500).await?;
    let keep = OutboxRetention {
        delivered_ms: 100,
        dead_ms: 1_000,
        records: 100,
        bytes: u64::MAX,
    };
    let removed = |settled, pending| OutboxTrimmed { settled, pending };
    assert_eq!(outbox(&store)?.trim(keep, 2_100).await?, removed(0, 0));
    assert_eq!(outbox(&store)?.trim(keep, 2_101).await?, removed(1, 0));
    let keep = OutboxRetention { records: 2, ..keep };
    assert_eq!(outbox(&store)?.trim(keep, 2_101).await?, removed(2, 1));
    let left = outbox(&store)?.counts().await?;
    let oldest_at = left.first().map(|count| count.oldest_at);
    let left: Vec<_> = left.iter().map(|count| (count.state, count.records)).collect();
    assert_eq!(left, [(RecordState::Pending, 2)]);
    let records = due(&store, "all").await?;
    assert_eq!(oldest_at, records.iter().map(|record| record.at).min());
    let left: Vec<_> = records.into_iter().map(|record| record.seq).collect();
    assert_eq!(left, [Some(4), Some(5)], "the oldest go first");
    Ok(())
}

pub async fn one_record_names_all_who_have_not_acknowledged(harness: &dyn Harness) -> Outcome {
    let store = harness.open(with(vec![sink("all", &[RecordKind::MessageUndelivered])]));
    let room = room(&*store, "a").await?;
    crowd(&*store, room.id, &["ann", "bob", "cy"]).await?;
    say(&*store, room.id, "ann", &["1"]).await?;
    let report = UndeliveredReport {
        room: room.id,
        seq: 1,
        last: false,
        users: vec!["bob".into(), "cy".into()],
    };
    assert_eq!(outbox(&store)?.report_undelivered(vec![report]).await?, 2);
    let records = due(&store, "all").await?;
    assert_eq!(records.len(), 1, "the message is stored once");
    assert_eq!(records[0].recipients, ["bob", "cy"]);
    // Each acknowledgement takes its member off; the last one takes the record back.
    store.mark_read(room.id, "bob", 1, 1_001).await?;
    assert_eq!(due(&store, "all").await?[0].recipients, ["cy"]);
    store.mark_room_delivered(room.id, "cy", 1).await?;
    assert_eq!(due(&store, "all").await?, []);
    Ok(())
}

pub async fn a_deleted_message_leaves_the_outbox(harness: &dyn Harness) -> Outcome {
    let store = all(harness);
    let (a, b) = (room(&*store, "a").await?, room(&*store, "b").await?);
    crowd(&*store, a.id, &["ann", "bob"]).await?;
    say(&*store, a.id, "ann", &["1", "2"]).await?;
    say(&*store, b.id, "ann", &["3"]).await?;
    let report = UndeliveredReport {
        room: a.id,
        seq: 1,
        last: false,
        users: vec!["bob".into()],
    };
    outbox(&store)?.report_undelivered(vec![report]).await?;
    let created = due(&store, "all").await?;
    let of_one = created
        .iter()
        .filter(|record| record.body.as_deref() == Some("1"));
    let settled = of_one.map(|record| record.n).next().unwrap_or_default();
    settle(&store, settled, Fate::Dead { error: "no".into() }, 2_000).await?;
    let mut deletion = message(a.id, "ann", None, "{}");
    (deletion.kind, deletion.target) = (EntryKind::Delete, Some(1));
    // And a message that is sent and deleted in one batch.
    let mut at_once = deletion.clone();
    at_once.target = Some(4);
    store
        .append(vec![deletion, message(a.id, "ann", None, "4"), at_once])
        .await?;
    let bodies = async || -> Result<Vec<_>, StoreError> {
        let records = outbox(&store)?.list(None, 100).await?;
        let mut bodies: Vec<_> = records.into_iter().filter_map(|record| record.body).collect();
        bodies.sort();
        Ok(bodies)
    };
    assert_eq!(bodies().await?, ["2", "3"]);
    store.delete_room(a.id).await?;
    assert_eq!(bodies().await?, ["3"]);
    Ok(())
}

pub async fn a_full_outbox_cuts_the_largest_shares(harness: &dyn Harness) -> Outcome {
    let store = all(harness);
    let room = room(&*store, "a").await?;
    crowd(&*store, room.id, &["ann", "bob", "cy"]).await?;
    for record in due(&store, "all").await? {
        settle(&store, record.n, Fate::Delivered, 1).await?;
    }
    say(&*store, room.id, "bob", &["b1", "b2"]).await?;
    say(&*store, room.id, "ann", &["a1", "a2", "a3", "a4", "a5", "a6"]).await?;
    let report = UndeliveredReport {
        room: room.id,
        seq: 1,
        last: false,
        users: vec!["ann".into(), "cy".into()],
    };
    outbox(&store)?.report_undelivered(vec![report]).await?;
    let bytes = outbox(&store)?
        .counts()
        .await?
        .iter()
        .map(|count| count.bytes)
        .sum::<u64>();
    assert!((1_000..10_000).contains(&bytes), "{bytes} bytes");
    let keep = OutboxRetention {
        delivered_ms: 1_000_000,
        dead_ms: 1_000_000,
        records: 5,
        bytes: u64::MAX,
    };
    let trimmed = outbox(&store)?.trim(keep, 2_000).await?;
    assert_eq!(
        (trimmed.settled, trimmed.pending),
        (1, 4),
        "the undelivered one, and three of ann's"
    );
    let left = async || -> Result<Vec<_>, StoreError> {
        let records = due(&store, "all").await?;
        Ok(records.into_iter().filter_map(|record| record.body).collect())
    };
    assert_eq!(left().await?, ["b1", "b2", "a4", "a5", "a6"]);
    let keep = OutboxRetention {
        records: 100,
        bytes: bytes / 3,
        ..keep
    };
    assert!(
        outbox(&store)?.trim(keep, 2_000).await?.pending > 0,
        "bytes are a limit, too"
    );
    assert!(!left().await?.is_empty());
    assert_eq!(outbox(&store)?.trim(keep, 2_000).await?, OutboxTrimmed::default());
    Ok(())
}

pub async fn records_follow_edits(harness: &dyn Harness) -> Outcome {
    let store = harness.open(with(vec![sink("all", &[RecordKind::MessageCreated])]));
    let room = room(&*store, "a").await?;
    say(&*store, room.id, "ann", &["1", "2"]).await?;
    let mut edit = message(room.id, "ann", None, "1b");
    (edit.kind, edit.target) = (EntryKind::Edit, Some(1));
    edit.replacement = Some("whole 1b".into());
    store.append(vec![edit]).await?;
    let records = due(&store, "all").await?;
    let bodies: Vec<_> = records
        .iter()
        .filter_map(|record| record.body.as_deref())
        .collect();
    assert_eq!(bodies, ["whole 1b", "2"]);
    Ok(())
}

pub async fn the_records_of_a_message_are_found(harness: &dyn Harness) -> Outcome {
    let store = all(harness);
    let (here, there) = (room(&*store, "a").await?, room(&*store, "b").await?);
    say(&*store, here.id, "ann", &["1", "2"]).await?;
    say(&*store, there.id, "ann", &["1"]).await?;
    let found = outbox(&store)?.records_of(here.id, 2, 10).await?;
    let about: Vec<_> = found
        .iter()
        .map(|record| (record.kind, record.room.as_deref(), record.seq))
        .collect();
    assert_eq!(about, [(RecordKind::MessageCreated, Some("a"), Some(2))]);
    assert_eq!(outbox(&store)?.records_of(here.id, 3, 10).await?, []);
    assert_eq!(outbox(&store)?.records_of(here.id, 2, 0).await?, []);
    Ok(())
}
