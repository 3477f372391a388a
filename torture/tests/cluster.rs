//! A short run over a cluster, so that `make test` covers what the long runs cover.

use roomful_torture::cluster::{Fault, Options, run};

/// The seed of the run; use `make torture-cluster` for others.
const SEED: u64 = 20_261_124;

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_partitioned_nodes_lose_and_duplicate_nothing() {
    let mut options = Options::new(roomful_torture::Options::new(SEED).unwrap());
    options.faults = vec![
        Fault::Lossy,
        Fault::StopNode,
        Fault::KillRedis,
        Fault::KillPostgres,
        Fault::NoBus,
        Fault::KillCutOff,
    ];
    options.rounds = options.faults.len() as u64;
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
    // Otherwise the run tested nothing. A run whose moderation lacks an act is not sound.
    let common = &report.common;
    assert!(common.moderation.is_some(), "{report}");
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
