//! What the figures of a run over a cluster are held to: laws always, and marks when somebody asks for them. A figure that
//! misses is a trouble of the report.

use std::time::Duration;

use super::presence::GHOST;
use super::report::{Report, Storm, percentile};
use super::run::{GRACE, LEASE};

/// How long it may take until all have seen the end of a log whose last message the bus has lost.
const LOST_TAIL: Duration = Duration::from_secs(6);
/// How soon all must be back after all were dropped.
const STORM: Duration = Duration::from_secs(30);

/// Of a hundred times that a device came up to date after a heal, 99 are shorter.
const CATCH_UP_MARK: Duration = Duration::from_secs(1);
/// How long a user of a dead node may be shown when nothing else keeps the nodes busy.
const GHOST_MARK: Duration = LEASE.saturating_add(GRACE);
/// Transactions of a storm, and memory at its peak, against what they are without one.
const COMMITS_MARK: f64 = 2.0;
const MEMORY_MARK: f64 = 1.3;

/// What the figures of a run are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldTo {
    /// What holds on any machine.
    Laws,
    /// The marks, too, which are for a quiet machine and a long run.
    Marks,
}

impl Report {
    /// Holds the figures to the laws.
    pub(super) fn judge(&mut self) {
        let mut troubles = Vec::new();
        for ghost in self.ghosts.iter().filter(|ghost| **ghost > GHOST) {
            troubles.push(format!("a user of a dead node was shown for {ghost:.1?}"));
        }
        for tail in self.lost_tail.iter().filter(|tail| **tail > LOST_TAIL) {
            troubles.push(format!("a lost tail was seen after {tail:.1?}"));
        }
        if let Some(storm) = &self.storm
            && storm.back.is_none_or(|back| back > STORM)
        {
            troubles.push(format!("after a storm, all were back after {:?}", storm.back));
        }
        self.common.troubles.extend(troubles);
    }

    /// Holds the figures to the marks. That is for the end of a run: a percentile of few times is their maximum.
    pub(super) fn judge_by_marks(&mut self) {
        let mut troubles = Vec::new();
        let mut catch_up: Vec<_> = self.catch_up.iter().map(|(_, took)| *took).collect();
        catch_up.sort_unstable();
        let most = percentile(&catch_up, 99);
        if most >= CATCH_UP_MARK {
            troubles.push(format!(
                "up to date after a heal: p99 {most:.2?}, the mark is below {CATCH_UP_MARK:?}"
            ));
        }
        for ghost in self.ghosts.iter().filter(|ghost| **ghost > GHOST_MARK) {
            troubles.push(format!(
                "a user of a dead node was shown for {ghost:.2?}, the mark is {GHOST_MARK:?}"
            ));
        }
        if let Some(storm) = &self.storm {
            troubles.extend(storm.misses());
        }
        self.common.troubles.extend(troubles);
    }
}

impl Storm {
    /// The marks that it has missed.
    fn misses(&self) -> Vec<String> {
        let (during, before) = (self.commits_during, self.commits_before);
        let mut misses = Vec::new();
        if during > COMMITS_MARK * before {
            misses.push(format!(
                "in a storm, the store had {during:.0} transactions a second and {before:.0} before, the mark is {COMMITS_MARK} times as many"
            ));
        }
        if self.memory_grown > MEMORY_MARK {
            misses.push(format!(
                "in a storm, memory was {:.2} of before, the mark is {MEMORY_MARK}",
                self.memory_grown
            ));
        }
        misses
    }
}

#[cfg(test)]
mod tests {
    use super::super::blow::Blow;
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// All figures are just what they may be.
    fn good() -> Report {
        let catch_up = (0..1_000).map(|time| if time < 9 { millis(4_000) } else { millis(999) });
        Report {
            catch_up: catch_up.map(|took| (Blow::NoBus, took)).collect(),
            ghosts: vec![GHOST_MARK],
            lost_tail: vec![LOST_TAIL],
            storm: Some(Storm {
                back: Some(STORM),
                commits_before: 100.0,
                commits_during: 200.0,
                memory_grown: MEMORY_MARK,
                ..Storm::default()
            }),
            ..Report::default()
        }
    }

    fn troubles(mut report: Report, held_to: HeldTo) -> Vec<String> {
        report.judge();
        if held_to == HeldTo::Marks {
            report.judge_by_marks();
        }
        report.common.troubles
    }

    #[test]
    fn good_figures_are_no_trouble() {
        for held_to in [HeldTo::Laws, HeldTo::Marks] {
            assert_eq!(troubles(good(), held_to), Vec::<String>::new());
            assert_eq!(troubles(Report::default(), held_to), Vec::<String>::new());
        }
    }

    #[test]
    fn each_broken_law_is_a_trouble() {
        let mut bad = good();
        bad.ghosts.push(GHOST + millis(100));
        bad.lost_tail.push(LOST_TAIL + millis(100));
        bad.storm.as_mut().unwrap().back = Some(STORM + millis(100));
        let expected = [
            "a user of a dead node was shown for 7.1s",
            "a lost tail was seen after 6.1s",
            "after a storm, all were back after Some(30.1s)",
        ];
        assert_eq!(troubles(bad, HeldTo::Laws), expected);
    }

    #[test]
    fn whoever_never_comes_back_is_a_trouble() {
        let mut bad = good();
        bad.storm.as_mut().unwrap().back = None;
        assert_eq!(
            troubles(bad, HeldTo::Laws),
            ["after a storm, all were back after None"]
        );
    }

    #[test]
    fn each_missed_mark_is_a_trouble_where_marks_are_asked_for() {
        let bad = || {
            let mut bad = good();
            bad.catch_up[9].1 = millis(1_000);
            bad.ghosts.push(GHOST_MARK + millis(100));
            let storm = bad.storm.as_mut().unwrap();
            (storm.commits_during, storm.memory_grown) = (201.0, 1.31);
            bad
        };
        let expected = [
            "up to date after a heal: p99 1.00s, the mark is below 1s",
            "a user of a dead node was shown for 5.10s, the mark is 5s",
            "in a storm, the store had 201 transactions a second and 100 before, the mark is 2 times as many",
            "in a storm, memory was 1.31 of before, the mark is 1.3",
        ];
        assert_eq!(troubles(bad(), HeldTo::Marks), expected);
        assert_eq!(troubles(bad(), HeldTo::Laws), Vec::<String>::new());
    }
}
