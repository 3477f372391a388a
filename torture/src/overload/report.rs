//! The table of an overload run, and the targets.

use std::fmt;
use std::time::Duration;

use super::attack::Attack;

/// The honest p99 beside the attack may be this many times the one before it.
const MAX_SLOWDOWN: f64 = 1.5;
/// The memory that an attack may cost, in bytes.
const MAX_GROWTH: u64 = 64 << 20;
/// The time after the attack until the honest users wait no longer than before it.
const MAX_RECOVERY: Duration = Duration::from_secs(2);

/// What the honest users saw of one attack.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The kind of attack.
    pub attack: Attack,
    /// The p99 of acks before and during the attack.
    pub ack: [Duration; 2],
    /// The p99 of deliveries before and during the attack.
    pub delivery: [Duration; 2],
    /// Logins that were refused or took too long.
    pub failed_logins: u64,
    /// Messages that were not acknowledged.
    pub failed_sends: u64,
    /// The growth of the server's resident memory, in bytes.
    pub growth: u64,
    /// The server's use of its core before and during the attack, 1 for all of it.
    pub cpu: [f64; 2],
    /// The time after the attack until waits are as before; none if that did not happen.
    pub recovery: Option<Duration>,
}

impl Outcome {
    /// The targets that this attack missed.
    pub fn missed(&self) -> Vec<&'static str> {
        let slow = |[before, during]: [Duration; 2]| during > before.mul_f64(MAX_SLOWDOWN);
        let missed = [
            (slow(self.ack), "ack"),
            (slow(self.delivery), "delivery"),
            (self.failed_logins > 0, "logins"),
            (self.failed_sends > 0, "sends"),
            (self.growth > MAX_GROWTH, "memory"),
            (self.recovery.is_none_or(|took| took > MAX_RECOVERY), "recovery"),
        ];
        missed
            .iter()
            .filter(|(missed, _)| *missed)
            .map(|(_, name)| *name)
            .collect()
    }
}

/// The outcomes of all attacks. Its text is a table in Markdown.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each attack.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// Whether all attacks met all targets.
    pub fn sound(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.missed().is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| attack | ack p99 | delivery p99 | failed logins | failed sends | memory | CPU | normal after \
             | missed |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        for outcome in &self.outcomes {
            let pair = |[before, during]: [Duration; 2]| {
                format!(
                    "{:.1} → {:.1} ms",
                    before.as_secs_f64() * 1e3,
                    during.as_secs_f64() * 1e3
                )
            };
            let recovery = outcome.recovery.map_or_else(
                || "never".to_owned(),
                |took| format!("{:.1} s", took.as_secs_f64()),
            );
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} MiB | {:.0} → {:.0} % | {recovery} | {} |",
                outcome.attack,
                pair(outcome.ack),
                pair(outcome.delivery),
                outcome.failed_logins,
                outcome.failed_sends,
                outcome.growth >> 20,
                outcome.cpu[0] * 100.0,
                outcome.cpu[1] * 100.0,
                outcome.missed().join(", "),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_can_be_missed() {
        let ms = Duration::from_millis;
        let good = Outcome {
            attack: Attack::Inbox,
            ack: [ms(10), ms(15)],
            delivery: [ms(10), ms(15)],
            failed_logins: 0,
            failed_sends: 0,
            growth: 64 << 20,
            cpu: [0.1, 1.0],
            recovery: Some(ms(2_000)),
        };
        assert!(good.missed().is_empty());
        let bad = Outcome {
            ack: [ms(10), ms(16)],
            delivery: [ms(10), ms(16)],
            failed_logins: 1,
            failed_sends: 1,
            growth: (64 << 20) + 1,
            recovery: None,
            ..good
        };
        assert_eq!(
            bad.missed(),
            ["ack", "delivery", "logins", "sends", "memory", "recovery"]
        );
    }
}
