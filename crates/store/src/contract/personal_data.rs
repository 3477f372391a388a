//! Exports and erasures: a user's id in every table, exported, then nowhere.

use super::{
    Harness, Outcome, change, done, message,
    outbox::{all, due},
    put, read,
    reports::{QUOTA, report_of},
    room, say,
};
use crate::{
    AuditPage, AuditRecord, ChosenStatus, DeliveredMark, EntryKind, Erasure, ErasureStep, ExportPart,
    ExportValue, ModerationAct, NewNotification, NewReport, NewSession, Options, Outage, ProfileChange,
    Range, RecordKind, Rejected, RoomId, Sanction, SanctionKind, SessionKey, Store, StoreError,
};

const USER: &str = "al\"ice";
const ALIAS: &str = "erased-1";

fn erasure() -> Erasure {
    Erasure {
        user_id: USER.into(),
        alias: ALIAS.into(),
        anonymise: true,
        before: 5_000,
        owner: "node/1".into(),
    }
}

fn record(actor: &str, user: Option<&str>) -> AuditRecord {
    AuditRecord {
        at: 1,
        actor: actor.into(),
        action: "PUT /rooms/{room}".into(),
        room: None,
        user_id: user.map(Into::into),
        status: 200,
        before: None,
        after: Some(format!("{{\"user\":{}}}", json(USER))),
    }
}

fn json(text: &str) -> String {
    crate::personal_data::json_string(text)
}

/// Puts the user into as many tables as a store without an outbox has.
async fn fill(store: &dyn Store, room: RoomId) -> Outcome {
    for user in [USER, "bob"] {
        store.join(room, user, 1).await?;
        store.touch_user(user, Some("Name"), 1_000).await?;
    }
    done(store, message(room, USER, Some("c1"), "{\"text\":\"kept\"}")).await?;
    let mut mention = message(room, "bob", None, &format!("{{\"mentions\":[{}]}}", json(USER)));
    mention.mentions = vec![USER.into()];
    done(store, mention).await?;
    done(
        store,
        change(room, USER, EntryKind::Reaction { removed: false }, 2, "+"),
    )
    .await?;
    done(
        store,
        change(room, USER, EntryKind::Edit, 1, "{\"text\":\"edited\"}"),
    )
    .await?;
    store
        .notify(NewNotification {
            id: "n1".into(),
            users: vec![USER.into(), "bob".into()],
            body: format!("{{\"by\":{}}}", json(USER)),
            at: 1,
            from: None,
        })
        .await?;
    let mark = DeliveredMark {
        user_id: USER.into(),
        device: "phone".into(),
        seq: 1,
    };
    store.mark_delivered(vec![mark], 1).await?;
    store.revoke(USER, 1).await?;
    let session = NewSession {
        key: SessionKey([7; 16]),
        owner: 3,
        sid: "sid".into(),
        user_id: USER.into(),
        at: 1,
    };
    store.begin_session(session).await?;
    for (user, actor) in [("bob", USER), (USER, "bob")] {
        let act = ModerationAct::Impose(Sanction {
            room: Some(room),
            user_id: user.into(),
            kind: SanctionKind::Mute,
            until: None,
            reason: None,
            actor: actor.into(),
            at: 1,
        });
        let control = message(room, "node", None, "{}");
        store.moderate(act, control).await?;
    }
    let profile = ProfileChange {
        avatar: Some(Some("https://pictures.example/1".into())),
        metadata: Some(Some("{\"team\":1}".into())),
        ..ProfileChange::default()
    };
    store.put_profile(USER, &profile, 2).await?;
    store.report(report_of(room, 2, USER, 1), QUOTA).await?;
    let about = NewReport {
        author: USER.into(),
        ..report_of(room, 1, "carl", 1)
    };
    store.report(about, QUOTA).await?;
    for record in [record("key:a", Some(USER)), record(USER, None)] {
        store.record_audit(record).await?;
    }
    Ok(())
}

/// All rows of an export, a few a page.
async fn export(store: &dyn Store) -> Result<Vec<(ExportPart, Vec<(String, ExportValue)>)>, StoreError> {
    let mut rows = Vec::new();
    let mut parts = ExportPart::OF_USER.to_vec();
    let about = store.rooms_about(USER, 0).await?;
    parts.extend(
        about
            .rooms
            .iter()
            .flat_map(|(room, _)| ExportPart::of_room(*room)),
    );
    for part in parts {
        let mut after = -1;
        loop {
            let page = store.export(USER, part, after, 1).await?;
            let Some(last) = page.last() else { break };
            after = last.key;
            rows.extend(page.into_iter().map(|row| (part, row.columns)));
        }
    }
    Ok(rows)
}

async fn erase_all(store: &dyn Store) -> Outcome {
    carry_out(store, erasure()).await
}

async fn carry_out(store: &dyn Store, erasure: Erasure) -> Outcome {
    let erasure = store.begin_erasure(erasure).await?;
    let about = store.rooms_about(&erasure.user_id, 0).await?;
    let rooms = about
        .rooms
        .iter()
        .flat_map(|(room, _)| [ErasureStep::Entries(*room), ErasureStep::Room(*room)]);
    let rest = [
        ErasureStep::User,
        ErasureStep::Notifications,
        ErasureStep::Outbox,
        ErasureStep::Audit,
    ];
    for step in rooms.chain(rest) {
        let mut from = 0;
        while let Some(next) = store.erase(&erasure, step, from).await? {
            from = next;
        }
    }
    store.end_erasure(&erasure).await
}

pub async fn an_export_has_all_rows_about_a_user(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "lobby").await?.id;
    fill(&*store, room).await?;
    let rows = export(&*store).await?;
    let count = |part: ExportPart| rows.iter().filter(|row| row.0 == part).count();
    for part in [
        ExportPart::User,
        ExportPart::Revocation,
        ExportPart::Notification,
        ExportPart::Device,
        ExportPart::Session,
        ExportPart::Sanction,
        ExportPart::Report,
        ExportPart::Reported,
        ExportPart::Member(room),
        ExportPart::Reaction(room),
        ExportPart::Mention(room),
    ] {
        assert_eq!(count(part), 1, "{part:?}: {rows:?}");
    }
    assert_eq!((count(ExportPart::Audit), count(ExportPart::Entry(room))), (2, 3));
    for (name, text) in [
        ("name", "Name"),
        ("avatar", "https://pictures.example/1"),
        ("metadata", "{\"team\":1}"),
    ] {
        let column = (name.to_owned(), ExportValue::Text(text.into()));
        assert!(rows.iter().any(|row| row.1.contains(&column)), "{name}: {rows:?}");
    }
    assert!(!format!("{rows:?}").contains("carl"), "reporters stay unnamed");
    Ok(())
}

pub async fn an_erased_user_is_in_no_row(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "lobby").await?.id;
    fill(&*store, room).await?;
    erase_all(&*store).await?;
    // A repetition finds nothing, and a late sighting leaves nothing.
    erase_all(&*store).await?;
    store.touch_user(USER, Some("Name"), 4_999).await?;
    store.close().await;
    let store = harness.open(Options::default());
    assert_eq!(export(&*store).await?, []);
    assert_eq!(store.rooms_about(USER, 0).await?.rooms, []);
    assert_eq!(store.erasures().await?, []);
    assert_eq!(store.users(&[USER.into()]).await?, []);
    let all = read(&*store, room, Range::After { seq: 0, upto: 99 }, 99).await?;
    let audit = store
        .audit(AuditPage {
            limit: 9,
            ..AuditPage::default()
        })
        .await?;
    let sanctions = store.sanctions_of(Some(room), "bob", 1).await?;
    let seen = format!("{all:?} {audit:?} {sanctions:?}");
    assert!(!seen.contains("al\\\"ice") && !seen.contains("alice"), "{seen}");
    let [first, second, ..] = &all.entries[..] else {
        panic!("{all:?}");
    };
    assert_eq!(
        (&*first.user_id, &first.user_name, &first.client_id),
        (ALIAS, &None, &None)
    );
    assert_eq!(second.body, format!("{{\"mentions\":[\"{ALIAS}\"]}}"));
    assert_eq!(second.state.reactions[0].user_ids, [ALIAS]);
    assert_eq!(sanctions[0].actor, ALIAS);
    // The tokens stay void, and others keep their counts.
    assert_eq!(store.revoked(USER).await?, Some(5_000));
    let unread = store.unread(room, "bob").await?.map(|unread| unread.messages);
    assert_eq!(
        unread,
        Some(3),
        "one message and the two control entries of the test"
    );
    // A new person may have the id.
    store.touch_user(USER, None, 6_000).await?;
    say(&*store, room, USER, &["{}"]).await?;
    assert_eq!(store.users(&[USER.into()]).await?[0].name, None);
    Ok(())
}

pub async fn a_user_whose_id_is_the_name_of_a_field_is_erased_as_others_are(
    harness: &dyn Harness,
) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "lobby").await?.id;
    for user in ["text", "bob"] {
        store.join(room, user, 1).await?;
    }
    let others = r#"{"text":"hello","mentions":["text","bob"],"metadata":{"text":"text"}}"#;
    done(&*store, message(room, "bob", None, others)).await?;
    done(&*store, message(room, "text", None, r#"{"text":"mine"}"#)).await?;
    store.report(report_of(room, 1, "bob", 1), QUOTA).await?;
    let erasure = Erasure {
        user_id: "text".into(),
        ..erasure()
    };
    carry_out(&*store, erasure).await?;
    let all = read(&*store, room, Range::After { seq: 0, upto: 99 }, 99).await?;
    let bodies: Vec<_> = all.entries.iter().map(|entry| &*entry.body).collect();
    let expected =
        format!(r#"{{"text":"hello","mentions":["{ALIAS}","bob"],"metadata":{{"{ALIAS}":"{ALIAS}"}}}}"#);
    assert_eq!(bodies, [&*expected, r#"{"text":"mine"}"#]);
    assert_eq!(all.entries[1].user_id, ALIAS);
    Ok(())
}

pub async fn the_reported_messages_of_an_erased_user_leave_the_outbox(harness: &dyn Harness) -> Outcome {
    let store = all(harness);
    let room = room(&*store, "lobby").await?.id;
    say(&*store, room, USER, &["{}"]).await?;
    for (author, seq) in [(USER, 1), ("troll", 2)] {
        let report = NewReport {
            author: author.into(),
            ..report_of(room, seq, "bob", 1)
        };
        store.report(report, QUOTA).await?;
    }
    erase_all(&*store).await?;
    let records = due(&store, "all").await?;
    let reported: Vec<_> = records
        .iter()
        .filter(|record| record.kind == RecordKind::MessageReported)
        .map(|record| record.body.as_deref())
        .collect();
    assert_eq!(reported, [Some("{\"of\":2}")]);
    Ok(())
}

pub async fn an_erasure_that_has_begun_survives_a_restart(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    assert_eq!(store.begin_erasure(erasure()).await?, erasure());
    store.close().await;
    let store = harness.open(Options::default());
    assert_eq!(store.erasures().await?, [erasure()]);
    // A repetition keeps the alias. To delete messages counts more than to keep them.
    let again = Erasure {
        alias: "erased-2".into(),
        anonymise: false,
        before: 6_000,
        ..erasure()
    };
    let expected = Erasure {
        anonymise: false,
        before: 6_000,
        ..erasure()
    };
    assert_eq!(store.begin_erasure(again).await?, expected);
    assert_eq!(store.revoked(USER).await?, Some(6_000));
    store.end_erasure(&erasure()).await?;
    assert_eq!(store.erasures().await?, []);
    assert_eq!(store.forget_revocations(7_000).await?, 1);
    assert_eq!(store.revoked(USER).await?, None);
    assert!(store.compact().await?);
    Ok(())
}

pub async fn a_user_can_do_nothing_while_they_are_erased(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (lobby, other) = (room(&*store, "lobby").await?.id, room(&*store, "other").await?.id);
    for user in [USER, "bob"] {
        store.join(lobby, user, 1).await?;
    }
    store.begin_erasure(erasure()).await?;
    let refused = Err(Rejected::Banned);
    assert_eq!(put(&*store, message(lobby, USER, None, "hi")).await?, refused);
    assert_eq!(store.join(other, USER, 2).await?, None);
    done(&*store, message(lobby, "bob", None, "hi")).await?;
    assert!(store.join(other, "bob", 2).await?.is_some());
    store.end_erasure(&erasure()).await?;
    // What a closed connection still had to store stays out. A newer token brings the user back.
    let before = erasure().before;
    store
        .set_status(USER, ChosenStatus::Busy, Some("late"), before - 1)
        .await?;
    assert!(
        store
            .take_profile(USER, Some("Late"), None, before - 1)
            .await
            .is_err()
    );
    assert_eq!(store.users(&[USER.to_owned()]).await?, []);
    store.take_profile(USER, Some("New"), None, before).await?;
    store.set_status(USER, ChosenStatus::Busy, None, before).await?;
    assert_eq!(store.users(&[USER.to_owned()]).await?.len(), 1);
    done(&*store, message(lobby, USER, None, "back again")).await?;
    assert!(store.join(other, USER, 3).await?.is_some());
    Ok(())
}

/// What a run does to the rows of [`fill`] and to the log.
async fn try_all(store: &dyn Store, room: RoomId, run: &Erasure) -> Result<(), StoreError> {
    for step in [
        ErasureStep::Entries(room),
        ErasureStep::Room(room),
        ErasureStep::Control(room),
        ErasureStep::User,
        ErasureStep::Notifications,
        ErasureStep::Audit,
    ] {
        let lost = store.erase(run, step, 0).await;
        assert_eq!(lost, Err(Outage::Fenced.into()), "{step:?}");
    }
    let control = message(room, "node", None, USER);
    let lost = store.append_in_erasure(run, control).await;
    assert_eq!(lost, Err(Outage::Fenced.into()));
    assert_eq!(store.end_erasure(run).await, Err(Outage::Fenced.into()));
    Ok(())
}

pub async fn a_run_that_has_lost_its_claim_changes_nothing(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "lobby").await?.id;
    fill(&*store, room).await?;
    let first = store.begin_erasure(erasure()).await?;
    let second = Erasure {
        owner: "node/2".into(),
        anonymise: false,
        before: 9_000,
        ..erasure()
    };
    assert_eq!(
        store.begin_erasure(second.clone()).await?,
        first,
        "the first has it"
    );
    assert_eq!(store.revoked(USER).await?, Some(5_000));
    assert!(!store.take_over_erasure(USER, "node/3", "node/2").await?);
    assert!(store.take_over_erasure(USER, "node/1", "node/2").await?);
    assert!(!store.take_over_erasure(USER, "node/1", "node/3").await?);
    let (rows, head) = (export(&*store).await?, store.log_head());
    try_all(&*store, room, &first).await?;
    assert_eq!((export(&*store).await?, store.log_head()), (rows, head));
    assert_eq!(store.begin_erasure(second.clone()).await?, second);
    let control = message(room, "node", None, "{}");
    let appended = store.append_in_erasure(&second, control).await?;
    assert_eq!(appended.first_position, store.log_head().position);
    carry_out(&*store, second.clone()).await?;
    assert_eq!(export(&*store).await?, []);
    // Neither of them works on after the end.
    for run in [first, second] {
        try_all(&*store, room, &run).await?;
    }
    assert_eq!(store.erasures().await?, []);
    Ok(())
}
