//! Reports of messages: once for each user and message, with a record for the outbox.

use super::{
    Harness, Outcome, done, message,
    outbox::{all, due},
    room,
};
use crate::{
    NewReport, Options, RecordKind, Report, ReportPage, ReportQuota, ReportState, Reported, ReportsOf,
    Resolution, RoomId, Store, StoreError,
};

pub(super) const QUOTA: ReportQuota = ReportQuota { since: 0, most: 3 };

pub(super) fn report_of(room_id: RoomId, seq: u64, reporter: &str, at: i64) -> NewReport {
    NewReport {
        room_id,
        seq,
        author: "troll".into(),
        reporter: reporter.into(),
        reason: "spam".into(),
        comment: Some("again \u{0}".into()),
        message: format!("{{\"seq\":{seq}}}"),
        at,
        record: format!("{{\"of\":{seq}}}"),
    }
}

async fn page(
    store: &dyn Store,
    state: Option<ReportState>,
    after: i64,
    limit: u32,
) -> Result<Vec<Report>, StoreError> {
    let of = ReportsOf::All;
    let page = ReportPage {
        of,
        state,
        after,
        limit,
    };
    store.reports(page).await
}

fn seqs(reports: &[Report]) -> Vec<u64> {
    reports.iter().map(|report| report.seq).collect()
}

/// Reports a message, which must be new.
async fn report(store: &dyn Store, report: NewReport) -> Result<i64, StoreError> {
    match store.report(report, QUOTA).await? {
        Reported::New(id) => Ok(id),
        other => Err(StoreError::Internal(format!("not reported: {other:?}"))),
    }
}

pub async fn a_message_is_reported_once_by_each_user(harness: &dyn Harness) -> Outcome {
    let store = all(harness);
    let lobby = room(&*store, "lobby").await?.id;
    done(&*store, message(lobby, "troll", None, "{}")).await?;
    let first = report(&*store, report_of(lobby, 1, "ann", 5)).await?;
    let again = NewReport {
        reason: "hate".into(),
        ..report_of(lobby, 1, "ann", 6)
    };
    assert_eq!(store.report(again, QUOTA).await?, Reported::Known(first));
    let other = report(&*store, report_of(lobby, 1, "bob", 7)).await?;
    assert!(other > first);
    let missing = store.report(report_of(9_999, 1, "ann", 8), QUOTA).await?;
    assert_eq!(missing, Reported::NoSuchRoom);
    let records: Vec<_> = due(&store, "all")
        .await?
        .into_iter()
        .filter(|record| record.kind == RecordKind::MessageReported)
        .collect();
    let ids: Vec<_> = records.iter().map(|record| record.client_id.clone()).collect();
    assert_eq!(ids, [Some(first.to_string()), Some(other.to_string())]);
    let record = &records[0];
    assert_eq!(
        (record.room.as_deref(), record.user_id.as_deref()),
        (Some("lobby"), Some("ann"))
    );
    assert_eq!((record.body.as_deref(), record.seq), (Some("{\"of\":1}"), None));
    let stored = store.report_by_id(first).await?;
    let expected = Report {
        id: first,
        room_id: lobby,
        room: "lobby".into(),
        seq: 1,
        author: "troll".into(),
        reporter: "ann".into(),
        reason: "spam".into(),
        comment: Some("again \u{0}".into()),
        message: "{\"seq\":1}".into(),
        at: 5,
        state: ReportState::Open,
        resolved_at: None,
        resolved_by: None,
    };
    assert_eq!(stored, Some(expected));
    assert_eq!(store.report_by_id(other + 1).await?, None);
    Ok(())
}

pub async fn reports_are_listed_by_author_and_by_reporter(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let lobby = room(&*store, "lobby").await?.id;
    let first = report(&*store, report_of(lobby, 1, "ann", 5)).await?;
    report(&*store, report_of(lobby, 1, "bob", 6)).await?;
    let other = NewReport {
        author: "ann".into(),
        ..report_of(lobby, 2, "bob", 7)
    };
    report(&*store, other).await?;
    let resolution = Resolution {
        id: first,
        state: ReportState::Dismissed,
        by: "mod".into(),
        at: 8,
    };
    assert!(store.resolve_report(resolution).await?);
    let (troll, bob) = ("troll".to_owned(), "bob".to_owned());
    for (of, state, after, expected) in [
        (ReportsOf::Author(troll.clone()), None, 0, vec!["ann", "bob"]),
        (ReportsOf::Author(troll.clone()), None, first, vec!["bob"]),
        (ReportsOf::Author(troll), Some(ReportState::Open), 0, vec!["bob"]),
        (ReportsOf::Author(bob.clone()), None, 0, vec![]),
        (ReportsOf::Reporter(bob.clone()), None, 0, vec!["bob", "bob"]),
        (ReportsOf::Reporter(bob), Some(ReportState::Dismissed), 0, vec![]),
    ] {
        let page = ReportPage {
            of,
            state,
            after,
            limit: 10,
        };
        let found = store.reports(page.clone()).await?;
        let reporters: Vec<_> = found.iter().map(|report| report.reporter.as_str()).collect();
        assert_eq!(reporters, expected, "{page:?}");
    }
    Ok(())
}

pub async fn reports_of_a_user_are_limited(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let lobby = room(&*store, "lobby").await?.id;
    for seq in 1..=3 {
        report(&*store, report_of(lobby, seq, "ann", 10)).await?;
    }
    let over = store.report(report_of(lobby, 4, "ann", 10), QUOTA).await?;
    assert_eq!(over, Reported::OverQuota);
    assert!(matches!(
        store.report(report_of(lobby, 3, "ann", 10), QUOTA).await?,
        Reported::Known(_)
    ));
    report(&*store, report_of(lobby, 4, "bob", 10)).await?;
    let next_day = ReportQuota { since: 10, ..QUOTA };
    let later = store.report(report_of(lobby, 4, "ann", 11), next_day).await?;
    assert!(matches!(later, Reported::New(_)), "{later:?}");
    Ok(())
}

pub async fn reports_are_listed_by_state_and_resolved_once(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let lobby = room(&*store, "lobby").await?.id;
    let mut ids = Vec::new();
    for seq in 1..=3 {
        ids.push(report(&*store, report_of(lobby, seq, "ann", 10)).await?);
    }
    let resolve = |id, state| Resolution {
        id,
        state,
        by: "key:support".into(),
        at: 20,
    };
    assert!(store.resolve_report(resolve(ids[1], ReportState::Banned)).await?);
    for id in [ids[1], 9_999] {
        let resolved = store.resolve_report(resolve(id, ReportState::Dismissed)).await?;
        assert!(!resolved, "{id}");
    }
    store.close().await;
    let store = harness.open(Options::default());
    let open = Some(ReportState::Open);
    assert_eq!(seqs(&page(&*store, open, 0, 10).await?), [1, 3]);
    assert_eq!(seqs(&page(&*store, open, ids[0], 10).await?), [3]);
    assert_eq!(seqs(&page(&*store, open, 0, 1).await?), [1]);
    assert_eq!(seqs(&page(&*store, None, 0, 10).await?), [1, 2, 3]);
    let resolved = page(&*store, Some(ReportState::Banned), 0, 10).await?;
    assert_eq!(seqs(&resolved), [2]);
    assert_eq!(
        (resolved[0].resolved_at, resolved[0].resolved_by.as_deref()),
        (Some(20), Some("key:support"))
    );
    Ok(())
}

pub async fn reports_go_with_their_room_and_with_time(harness: &dyn Harness) -> Outcome {
    let store = all(harness);
    let (lobby, other) = (room(&*store, "lobby").await?.id, room(&*store, "other").await?.id);
    report(&*store, report_of(lobby, 1, "ann", 10)).await?;
    report(&*store, report_of(other, 1, "ann", 10)).await?;
    report(&*store, report_of(other, 2, "ann", 30)).await?;
    assert!(store.delete_room(lobby).await?);
    let left = page(&*store, None, 0, 10).await?;
    assert_eq!(seqs(&left), [1, 2]);
    assert!(left.iter().all(|report| report.room == "other"), "{left:?}");
    let records = due(&store, "all").await?;
    let reported: Vec<_> = records
        .iter()
        .filter(|record| record.kind == RecordKind::MessageReported)
        .map(|record| record.room.as_deref())
        .collect();
    assert_eq!(reported, [Some("other"), Some("other")]);
    assert_eq!(store.trim_reports(10, 40).await?, 1);
    assert_eq!(seqs(&page(&*store, None, 0, 10).await?), [2]);
    Ok(())
}
