//! A short run of each kind, so that ordinary tests break what the long ones break for hours.

use roomful_torture::{Blow, Options, TortureError, run};

/// Decides about the runs below; others are for `make torture`.
const SEED: u64 = 20_261_122;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_comes_twice_under_kills_and_dead_lines() {
    let options = Options::new(SEED).unwrap();
    let (rounds, messages) = (options.rounds, options.messages);
    let report = run(options).await.unwrap();
    println!("{report}");
    assert!(report.sound(), "{report}");
    assert_eq!((report.kills, report.acknowledged), (rounds, messages));
    // Otherwise nothing was put to the test.
    assert!(
        report.met > 0 && report.unknown > 0 && report.duplicates > 0,
        "{report}"
    );
    for blow in Blow::COMMON {
        assert!(report.blows.contains(&blow), "no {blow}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_comes_twice_on_a_disk_that_fills_up() {
    let mut options = Options::new(SEED).unwrap();
    options.blows = vec![Blow::FullDisk];
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
