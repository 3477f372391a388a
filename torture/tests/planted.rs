//! The checker can fail: three servers with a bug each, and each bug is found.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of a test fail the test and show what came of it"
)]

use std::path::PathBuf;
use std::process::Command;

use roomful_testkit::history::Violation;
use roomful_torture::{Blow, Options, Report, run};

/// Builds the server that has the bugs in it, beside the one that has not.
fn binary(sound: &std::path::Path) -> PathBuf {
    let folder = sound.parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--package", "roomful", "--bin", "roomful-planted"]);
    build.args(["--features", "planted-bugs"]);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let output = build.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    folder.join("roomful-planted")
}

async fn find(bug: &str) -> Report {
    let mut options = Options::new(7).unwrap();
    options.binary = binary(&options.binary);
    options.env = vec![("ROOMFUL_PLANTED".to_owned(), bug.to_owned())];
    options.blows = vec![Blow::Cut];
    options.rounds = 3;
    options.messages = 900;
    // Which of the laws it breaks first is a matter of luck.
    options.go_on = true;
    let report = run(options).await.unwrap();
    println!("{bug}: {report}");
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_before_the_commit_is_found() {
    let report = find("ack-before-commit").await;
    let lost = |violation: &Violation| matches!(violation, Violation::LostAck { .. });
    assert!(report.violations.iter().any(lost), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_skipped_is_found() {
    let report = find("skip-delivery").await;
    let gap = |violation: &Violation| matches!(violation, Violation::Run { .. });
    assert!(report.violations.iter().any(gap), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_is_stored_again_is_found() {
    let report = find("duplicate-on-retry").await;
    let twice = |violation: &Violation| matches!(violation, Violation::TwoSeqs { .. });
    assert!(report.violations.iter().any(twice), "{report}");
}
