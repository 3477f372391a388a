//! A short run over a cluster whose network drops packets.

use std::io::Write as _;

use roomful_torture::TortureError;
use roomful_torture::cluster::{CutBy, Fault, Options, Report, Tcp, namespaces, run};
use tokio::process::Command;

/// The seed of the run; use `make torture-cluster NAMESPACES=1` for others.
const SEED: u64 = 20_261_129;
/// The test below, which runs itself again.
const TEST: &str = "nodes_whose_packets_are_dropped_lose_and_duplicate_nothing";

#[tokio::test(flavor = "multi_thread")]
async fn nodes_whose_packets_are_dropped_lose_and_duplicate_nothing() {
    if namespaces::inside() {
        let report = torture().await.unwrap();
        println!("{report}");
        hold(&report);
        return;
    }
    let again = match namespaces::again(["--exact", TEST, "--nocapture"]) {
        Ok(again) => again,
        Err(why) => {
            // Write past the captured output: a skipped test must not look like a passed one.
            writeln!(std::io::stderr(), "{TEST} was not run: {why}").unwrap();
            return;
        }
    };
    let output = Command::from(again).kill_on_drop(true).output().await.unwrap();
    for text in [output.stdout, output.stderr] {
        // Hide the inner test's result, so that runners do not count it twice.
        println!("  {}", String::from_utf8_lossy(&text).replace('\n', "\n  "));
    }
    assert!(output.status.success());
}

async fn torture() -> Result<Report, TortureError> {
    let mut options = Options::new(roomful_torture::Options::new(SEED)?);
    options.cut_by = CutBy::Network(Tcp::default());
    options.faults = vec![
        Fault::NoStore,
        Fault::NoBus,
        Fault::NoPeers,
        Fault::Isolated,
        Fault::OneWay,
    ];
    options.rounds = options.faults.len() as u64;
    options.messages = 500;
    options.watch_every = 0;
    options.storm = 0;
    options.restore = false;
    run(options).await
}

fn hold(report: &Report) {
    assert!(report.sound(), "{report}");
    assert_eq!((report.common.kills, report.common.acknowledged), (5, 500));
    // Otherwise the run tested nothing. A short cut may meet no packets, such as between nodes without
    // polling clients; but a node renews its lease all the time.
    let dropped: Vec<_> = report.dropped.iter().map(|(fault, _)| *fault).collect();
    for fault in [Fault::NoBus, Fault::Isolated] {
        assert!(dropped.contains(&fault), "{fault}: {report}");
    }
    let connects: u64 = report.dropped.iter().map(|(_, dropped)| dropped.connects).sum();
    assert!(connects > 0, "{report}");
}
