//! Short runs of each kind, so that `make test` covers what the long runs cover.

use roomful_torture::{Fault, Options, TortureError, run};

/// The seed of the runs; use `make torture` for others.
const SEED: u64 = 20_261_122;

#[tokio::test(flavor = "multi_thread")]
async fn kills_and_dead_connections_lose_and_duplicate_nothing() {
    let options = Options::new(SEED).unwrap();
    let (rounds, messages) = (options.rounds, options.messages);
    let report = run(options).await.unwrap();
    println!("{report}");
    assert!(report.sound(), "{report}");
    assert_eq!((report.kills, report.acknowledged), (rounds, messages));
    // Otherwise the run tested nothing. A run whose moderation lacks an act is not sound.
    assert!(report.moderation.is_some(), "{report}");
    assert!(
        report.met > 0 && report.unknown > 0 && report.duplicates > 0,
        "{report}"
    );
    for fault in Fault::COMMON {
        assert!(report.faults.contains(&fault), "no {fault}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_loses_and_duplicates_nothing() {
    let mut options = Options::new(SEED).unwrap();
    options.faults = vec![Fault::FullDisk];
    options.rounds = 2;
    options.messages = 600;
    let report = match run(options).await {
        Err(TortureError::Disk(why)) => return println!("not run: {why}"),
        report => report.unwrap(),
    };
    println!("{report}");
    assert!(report.sound(), "{report}");
    assert!(report.refused > 0, "nobody met the full disk: {report}");
}
