//! Roomful's targets as values, and their state in stored results.

use crate::results::{Results, Section};
use crate::stats::{Summary, ratios};

/// One target.
#[derive(Debug)]
pub(crate) struct Target {
    /// The workload.
    pub(crate) workload: &'static str,
    /// The entrant.
    pub(crate) entrant: &'static str,
    /// The figure.
    pub(crate) figure: &'static str,
    /// The reference.
    pub(crate) against: Against,
    /// The bound.
    pub(crate) bound: Bound,
}

/// The reference of a comparison.
#[derive(Debug)]
pub(crate) enum Against {
    /// Another entrant.
    Entrant(&'static str, &'static str),
    /// The best of these, by median.
    Best(&'static [&'static str], &'static str),
    /// None: the figure itself has a bound.
    Itself,
}

/// A bound of a ratio or a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    /// True if the value meets the bound.
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

const PEERS: &[&str] = &["socketioxide", "node", "bun", "centrifugo", "python"];
const DURABLE: &[&str] = &["node", "bun"];
const OVER_REDIS: &[&str] = &["node-redis", "node-sharded", "centrifugo-redis"];
const ON_POSTGRES: &[&str] = &["node-redis", "centrifugo-postgres"];

const fn versus(
    workload: &'static str,
    entrant: &'static str,
    figure: &'static str,
    other: &'static str,
    words: &'static str,
    bound: Bound,
) -> Target {
    Target {
        workload,
        entrant,
        figure,
        against: Against::Entrant(other, words),
        bound,
    }
}

const fn best(
    workload: &'static str,
    entrant: &'static str,
    figure: &'static str,
    others: &'static [&'static str],
    words: &'static str,
    bound: Bound,
) -> Target {
    Target {
        workload,
        entrant,
        figure,
        against: Against::Best(others, words),
        bound,
    }
}

const fn itself(workload: &'static str, figure: &'static str, bound: Bound) -> Target {
    Target {
        workload,
        entrant: "roomful",
        figure,
        against: Against::Itself,
        bound,
    }
}

use Bound::{AtLeast, AtMost};
const CPU: &str = "cpu_us_per_delivery";
const BARE: &str = "roomful-socket";

/// All targets.
pub(crate) const ALL: &[Target] = &[
    versus("fan-out-1", BARE, CPU, "floor", "the floor", AtMost(1.3)),
    versus(
        "fan-out-1",
        BARE,
        CPU,
        "socketioxide",
        "socketioxide",
        AtMost(0.45),
    ),
    versus("fan-out-1", BARE, CPU, "node", "Node", AtMost(0.4)),
    versus(
        "fan-out-8",
        BARE,
        CPU,
        "floor-batched",
        "the floor with batched writes",
        AtMost(1.3),
    ),
    versus(
        "fan-out-8",
        BARE,
        CPU,
        "socketioxide",
        "socketioxide",
        AtMost(0.5),
    ),
    versus("fan-out-8", BARE, CPU, "node", "Node", AtMost(0.12)),
    versus("fan-out-rooms", BARE, CPU, "floor", "the floor", AtMost(1.4)),
    best("fan-out-rooms", BARE, CPU, PEERS, "the best peer", AtMost(0.45)),
    best(
        "latency",
        BARE,
        "delivery_p99_ms",
        PEERS,
        "the best peer",
        AtMost(1.0),
    ),
    best(
        "latency",
        BARE,
        "p99_same_ms",
        PEERS,
        "the best peer",
        AtMost(1.0),
    ),
    versus(
        "chat-one-room",
        "roomful",
        CPU,
        BARE,
        "its own bare fan-out",
        AtMost(1.25),
    ),
    best(
        "chat-one-room",
        "roomful",
        "acked_per_s",
        DURABLE,
        "the best durable peer",
        AtLeast(5.0),
    ),
    versus(
        "chat-rooms",
        "roomful",
        CPU,
        BARE,
        "its own bare fan-out",
        AtMost(2.0),
    ),
    best(
        "chat-rooms",
        "roomful",
        "acked_per_s",
        DURABLE,
        "the best durable peer",
        AtLeast(5.0),
    ),
    itself("sends", "of_bare", AtLeast(0.6)),
    best(
        "joins",
        "roomful",
        "joins_per_s",
        DURABLE,
        "the best durable peer",
        AtLeast(3.0),
    ),
    versus(
        "connects",
        "roomful",
        "connects_per_core_s",
        "node",
        "Node",
        AtLeast(3.0),
    ),
    itself("idle", "rss_kib_per_client", AtMost(3.0)),
    best(
        "idle",
        "roomful",
        "cpu_us_per_client_s",
        &["node", "bun", "centrifugo"],
        "the best peer",
        AtMost(0.5),
    ),
    itself("slow-readers", "p99_ratio", AtMost(1.2)),
    itself("slow-readers", "stopped_kib", AtMost(256.0)),
    itself("slow-readers", "missed", AtMost(0.0)),
    best("remote-1", BARE, CPU, OVER_REDIS, "the best peer", AtMost(0.5)),
    best("remote-8", BARE, CPU, OVER_REDIS, "the best peer", AtMost(0.5)),
    best(
        "remote-rooms",
        BARE,
        CPU,
        OVER_REDIS,
        "the best peer",
        AtMost(0.5),
    ),
    best(
        "pg-sends",
        "roomful",
        "cpu_us_per_send",
        ON_POSTGRES,
        "the best peer",
        AtMost(0.5),
    ),
    best(
        "pg-rooms",
        "roomful",
        CPU,
        ON_POSTGRES,
        "the best peer",
        AtMost(0.5),
    ),
    versus(
        "growth-members",
        "10,000 members",
        CPU,
        "100 members",
        "100 members",
        AtMost(1.2),
    ),
    versus(
        "growth-rooms",
        "10,000 rooms",
        CPU,
        "1 room",
        "1 room",
        AtMost(1.2),
    ),
    versus(
        "growth-rooms",
        "10,000 rooms",
        "ack_p99_ms",
        "1 room",
        "1 room",
        AtMost(1.2),
    ),
    versus(
        "growth-stored",
        "10 million stored",
        CPU,
        "none stored",
        "an empty store",
        AtMost(1.2),
    ),
    versus(
        "growth-stored",
        "10 million stored",
        "ack_p99_ms",
        "none stored",
        "an empty store",
        AtMost(1.2),
    ),
];

impl Target {
    /// Roomful's result; `None` if it was not measured.
    pub(crate) fn standing(&self, results: &Results) -> Option<Summary> {
        let section = results.section(self.workload)?;
        let ours = section.series(self.entrant, self.figure);
        match self.against {
            Against::Itself => Summary::of(&ours.iter().map(|(_, value)| *value).collect::<Vec<_>>()),
            Against::Entrant(other, _) => Summary::of(&ratios(&ours, &section.series(other, self.figure))),
            Against::Best(others, _) => {
                let theirs = section.series(self.best(section, others)?, self.figure);
                Summary::of(&ratios(&ours, &theirs))
            }
        }
    }

    /// The reference in words.
    pub(crate) fn opponent(&self, results: &Results) -> String {
        match self.against {
            Against::Itself => String::new(),
            Against::Entrant(_, words) => words.to_owned(),
            Against::Best(others, words) => {
                let section = results.section(self.workload);
                match section.and_then(|section| self.best(section, others)) {
                    Some(best) => format!("{words} ({best})"),
                    None => words.to_owned(),
                }
            }
        }
    }

    fn best(&self, section: &Section, others: &[&'static str]) -> Option<&'static str> {
        let medians = others.iter().filter_map(|&other| {
            let values: Vec<_> = section
                .series(other, self.figure)
                .into_iter()
                .map(|(_, value)| value)
                .collect();
            Some((other, Summary::of(&values)?.median))
        });
        let ordered = |a: &f64, b: &f64| match self.bound {
            Bound::AtMost(_) => a.total_cmp(b),
            Bound::AtLeast(_) => b.total_cmp(a),
        };
        medians
            .min_by(|(_, a), (_, b)| ordered(a, b))
            .map(|(other, _)| other)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::results::{Outcome, Run};
    use crate::{figure, workload};

    fn results(runs: &[(&str, usize, f64)]) -> Results {
        let runs = runs.iter().map(|&(entrant, round, value)| Run {
            entrant: entrant.into(),
            round,
            outcome: Outcome::Figures(BTreeMap::from([(CPU.to_owned(), value)])),
        });
        let section = Section {
            workload: "fan-out-rooms".into(),
            began: String::new(),
            commit: String::new(),
            machine: String::new(),
            quick: false,
            versions: BTreeMap::new(),
            runs: runs.collect(),
        };
        Results {
            sections: vec![section],
        }
    }

    #[test]
    fn the_best_peer_is_the_one_with_the_best_median() {
        let results = results(&[
            (BARE, 0, 5.0),
            (BARE, 1, 6.0),
            ("node", 0, 20.0),
            ("node", 1, 20.0),
            ("bun", 0, 10.0),
            ("bun", 1, 12.0),
        ]);
        let target = ALL
            .iter()
            .find(|target| target.workload == "fan-out-rooms" && matches!(target.against, Against::Best(..)));
        let target = target.unwrap();
        assert_eq!(target.opponent(&results), "the best peer (bun)");
        assert!((target.standing(&results).unwrap().median - 0.5).abs() < 1e-9);
    }

    #[test]
    fn every_target_names_an_existing_workload_entrant_and_figure() {
        for target in ALL {
            let workload = workload::ALL
                .iter()
                .find(|workload| workload.name == target.workload);
            let workload = workload.unwrap_or_else(|| panic!("{}", target.workload));
            let keys: Vec<_> = workload.entrants.iter().map(|entrant| entrant.key).collect();
            assert!(keys.contains(&target.entrant), "{}", target.entrant);
            if let Against::Entrant(other, _) = target.against {
                assert!(keys.contains(&other), "{other}");
            }
            assert!(figure::by_name(target.figure).is_some(), "{}", target.figure);
        }
    }
}
