//! A short run over a cluster whose nodes are cut off by a network that drops packets.

use std::io::Write as _;

use roomful_torture::TortureError;
use roomful_torture::cluster::{Blow, CutBy, Options, Report, Tcp, namespaces, run};
use tokio::process::Command;

/// Decides about the run; others are for `make torture-cluster NAMESPACES=1`.
const SEED: u64 = 20_261_129;
/// The test below, which runs itself once more.
const TEST: &str = "nothing_is_lost_and_nothing_comes_twice_over_nodes_whose_packets_are_dropped";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_comes_twice_over_nodes_whose_packets_are_dropped() {
    if namespaces::inside() {
        let report = torture().await.unwrap();
        println!("{report}");
        hold(&report);
        return;
    }
    let again = match namespaces::again(["--exact", TEST, "--nocapture"]) {
        Ok(again) => again,
        Err(why) => {
            // Past what the test's output is caught by, since a test that did not run must not look as if it had.
            writeln!(std::io::stderr(), "{TEST} was not run: {why}").unwrap();
            return;
        }
    };
    let output = Command::from(again).kill_on_drop(true).output().await.unwrap();
    for text in [output.stdout, output.stderr] {
        // Whoever counts results of tests must not find this one twice.
        println!("  {}", String::from_utf8_lossy(&text).replace('\n', "\n  "));
    }
    assert!(output.status.success());
}

async fn torture() -> Result<Report, TortureError> {
    let mut options = Options::new(roomful_torture::Options::new(SEED)?);
    options.cut_by = CutBy::Network(Tcp::default());
    options.blows = vec![
        Blow::NoStore,
        Blow::NoBus,
        Blow::NoPeers,
        Blow::Isolated,
        Blow::OneWay,
    ];
    options.rounds = options.blows.len() as u64;
    options.messages = 500;
    options.watch_every = 0;
    options.storm = 0;
    options.restore = false;
    run(options).await
}

fn hold(report: &Report) {
    assert!(report.sound(), "{report}");
    assert_eq!((report.common.kills, report.common.acknowledged), (5, 500));
    // Otherwise nothing was put to the test. A short cut may fall when there is nothing to drop, as between nodes when nobody
    // polls; but a node renews its lease all the time.
    let dropped: Vec<_> = report.dropped.iter().map(|(blow, _)| *blow).collect();
    for blow in [Blow::NoBus, Blow::Isolated] {
        assert!(dropped.contains(&blow), "{blow}: {report}");
    }
    let connects: u64 = report.dropped.iter().map(|(_, dropped)| dropped.connects).sum();
    assert!(connects > 0, "{report}");
}
