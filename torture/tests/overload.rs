//! Short attacks beside honest users. Times depend on the machine, so the tests check everything else.

use std::time::Duration;

use roomful_torture::Options;
use roomful_torture::overload::{self, Attack};

#[tokio::test(flavor = "multi_thread")]
async fn honest_users_log_in_and_send_beside_attackers_and_memory_stays_bounded() {
    let attacks = [Attack::RefusedConnects, Attack::UnfinishedBytes];
    let options = overload::Options {
        binary: Options::new(0).unwrap().binary,
        program: env!("CARGO_BIN_EXE_roomful-torture").into(),
        attacks: attacks.to_vec(),
        measured: Duration::from_secs(2),
        pin: false,
    };
    let report = overload::run(&options).await.unwrap();
    println!("{report}");
    assert_eq!(report.outcomes.len(), attacks.len(), "{report}");
    for outcome in &report.outcomes {
        assert_eq!(outcome.failed_sends, 0, "{report}");
        assert!(!outcome.missed().contains(&"memory"), "{report}");
        assert!(
            outcome.cpu[1] > outcome.cpu[0],
            "the attack reached the server: {report}"
        );
    }
}
