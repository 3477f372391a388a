//! Tests of the checkers: they must find the bug in each of five servers with a planted bug.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "test helpers panic with the outcome"
)]

use roomful_testkit::history::Violation;
use roomful_torture::{Fault, Options, Report, moderation, run};

/// A run against a server with the bug, with or without the workload of moderation.
async fn find(bug: &str, moderation: bool) -> Report {
    let mut options = Options::with_binary(7, Some(env!("CARGO_BIN_EXE_roomful-planted").into())).unwrap();
    options.env = vec![("PLANTED_BUG".to_owned(), bug.to_owned())];
    options.faults = vec![Fault::Cut];
    options.rounds = 3;
    options.messages = 900;
    options.moderation = moderation;
    // The first law that it breaks differs from run to run.
    options.go_on = true;
    let report = run(options).await.unwrap();
    println!("{bug}: {report}");
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_finds_nothing_without_a_bug() {
    let report = find("none", true).await;
    let found = report.moderation.as_ref().unwrap();
    assert_eq!(report.violations, [], "{report}");
    assert_eq!(found.violations, [], "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_finds_an_acknowledged_message_that_is_lost() {
    let report = find("forget-acked", false).await;
    let lost = |violation: &Violation| matches!(violation, Violation::LostAck { .. });
    assert!(report.violations.iter().any(lost), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_finds_a_skipped_delivery() {
    let report = find("skip-delivery", false).await;
    let gap = |violation: &Violation| matches!(violation, Violation::Run { .. });
    assert!(report.violations.iter().any(gap), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_finds_a_retry_that_is_stored_again() {
    let report = find("duplicate-on-retry", false).await;
    let twice = |violation: &Violation| matches!(violation, Violation::TwoSeqs { .. });
    assert!(report.violations.iter().any(twice), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_finds_a_muted_user_who_writes() {
    let report = find("ignore-mutes", true).await;
    let wrote = |violation: &moderation::Violation| matches!(violation, moderation::Violation::Wrote { .. });
    let found = report.moderation.as_ref().unwrap();
    assert!(found.violations.iter().any(wrote), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_finds_an_erased_user_in_the_log() {
    let report = find("keep-entries", true).await;
    let left =
        |violation: &moderation::Violation| matches!(violation, moderation::Violation::NotErased { .. });
    let found = report.moderation.as_ref().unwrap();
    assert!(found.violations.iter().any(left), "{report}");
}
