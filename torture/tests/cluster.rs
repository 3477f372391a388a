//! A short run over a cluster, so that ordinary tests break what the long ones break for hours.

use roomful_torture::cluster::{Blow, Options, run};

/// Decides about the run; others are for `make torture-cluster`.
const SEED: u64 = 20_261_124;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_comes_twice_over_nodes_that_are_killed_and_cut_off() {
    let mut options = Options::new(roomful_torture::Options::new(SEED).unwrap());
    options.blows = vec![
        Blow::Lossy,
        Blow::StopNode,
        Blow::KillRedis,
        Blow::KillPostgres,
        Blow::NoBus,
        Blow::KillCutOff,
    ];
    options.rounds = options.blows.len() as u64;
    options.messages = 1_500;
    options.watch_every = 5;
    options.storm = 60;
    let (rounds, messages) = (options.rounds, options.messages);
    let report = run(options).await.unwrap();
    println!("{report}");
    assert!(report.sound(), "{report}");
    assert_eq!(
        (report.common.kills, report.common.acknowledged),
        (rounds, messages)
    );
    // Otherwise nothing was put to the test.
    let common = &report.common;
    assert!(
        common.met > 0 && common.unknown > 0 && common.recovered > 0,
        "{report}"
    );
    assert!(report.lost_messages > 0, "{report}");
    assert!(
        !report.ghosts.is_empty() && report.movers > 0 && report.returners > 0,
        "{report}"
    );
    assert!(report.storm.is_some() && report.restored.is_some(), "{report}");
}
