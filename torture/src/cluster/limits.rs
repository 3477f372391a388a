//! Limits on the figures of a cluster run: bounds always, targets on request. A missed limit is a trouble
//! of the report.

use std::time::Duration;

use super::presence::GHOST;
use super::report::{Report, Storm, percentile};
use super::run::{GRACE, LEASE};

/// The longest time until all have the end of a log whose last bus message was lost.
const LOST_TAIL: Duration = Duration::from_secs(6);
/// The longest time until all clients are back after a storm.
const STORM: Duration = Duration::from_secs(30);

/// The p99 of the time until a device is up to date after a heal.
const CATCH_UP_TARGET: Duration = Duration::from_secs(1);
/// How long a user of a dead node may be shown as online on an idle machine.
const GHOST_TARGET: Duration = LEASE.saturating_add(GRACE);
/// Ratios of the storm's transactions, and of its peak memory, to those before the storm.
const COMMITS_TARGET: f64 = 2.0;
const MEMORY_TARGET: f64 = 1.3;

/// The limits that a run has to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Bounds that hold on any machine.
    Bounds,
    /// The targets as well, for long runs on an idle machine.
    BoundsAndTargets,
}

impl Report {
    /// Checks the bounds.
    pub(super) fn check_bounds(&mut self) {
        let mut problems = Vec::new();
        for ghost in self.ghosts.iter().filter(|ghost| **ghost > GHOST) {
            problems.push(format!(
                "a user of a dead node was shown as online for {ghost:.1?}"
            ));
        }
        for tail in self.lost_tail.iter().filter(|tail| **tail > LOST_TAIL) {
            problems.push(format!("a lost tail arrived after {tail:.1?}"));
        }
        if let Some(storm) = &self.storm
            && storm.back.is_none_or(|back| back > STORM)
        {
            problems.push(format!(
                "after a storm, all clients were back after {:?}",
                storm.back
            ));
        }
        self.common.problems.extend(problems);
    }

    /// Checks the targets, at the end of a run: a percentile of few samples is their maximum.
    pub(super) fn check_targets(&mut self) {
        let mut problems = Vec::new();
        let mut catch_up: Vec<_> = self.catch_up.iter().map(|(_, took)| *took).collect();
        catch_up.sort_unstable();
        let most = percentile(&catch_up, 99);
        if most >= CATCH_UP_TARGET {
            problems.push(format!(
                "up to date after a heal: p99 {most:.2?}, the target is below {CATCH_UP_TARGET:?}"
            ));
        }
        for ghost in self.ghosts.iter().filter(|ghost| **ghost > GHOST_TARGET) {
            problems.push(format!(
                "a user of a dead node was shown as online for {ghost:.2?}, the target is {GHOST_TARGET:?}"
            ));
        }
        if let Some(storm) = &self.storm {
            problems.extend(storm.misses());
        }
        self.common.problems.extend(problems);
    }
}

impl Storm {
    /// The targets that the storm missed.
    fn misses(&self) -> Vec<String> {
        let (during, before) = (self.commits_during, self.commits_before);
        let mut misses = Vec::new();
        if during > COMMITS_TARGET * before {
            misses.push(format!(
                "in a storm, the store had {during:.0} transactions a second, {before:.0} before; the \
                target is {COMMITS_TARGET} times as many"
            ));
        }
        if self.memory_grown > MEMORY_TARGET {
            misses.push(format!(
                "in a storm, memory grew to {:.2} times its size, the target is {MEMORY_TARGET}",
                self.memory_grown
            ));
        }
        misses
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A report in which every figure is exactly at its limit.
    fn good() -> Report {
        let catch_up = (0..1_000).map(|time| if time < 9 { millis(4_000) } else { millis(999) });
        Report {
            catch_up: catch_up.map(|took| (Fault::NoBus, took)).collect(),
            ghosts: vec![GHOST_TARGET],
            lost_tail: vec![LOST_TAIL],
            storm: Some(Storm {
                back: Some(STORM),
                commits_before: 100.0,
                commits_during: 200.0,
                memory_grown: MEMORY_TARGET,
                ..Storm::default()
            }),
            ..Report::default()
        }
    }

    fn problems(mut report: Report, strictness: Strictness) -> Vec<String> {
        report.check_bounds();
        if strictness == Strictness::BoundsAndTargets {
            report.check_targets();
        }
        report.common.problems
    }

    #[test]
    fn good_figures_are_no_trouble() {
        for strictness in [Strictness::Bounds, Strictness::BoundsAndTargets] {
            assert_eq!(problems(good(), strictness), Vec::<String>::new());
            assert_eq!(problems(Report::default(), strictness), Vec::<String>::new());
        }
    }

    #[test]
    fn each_broken_law_is_a_trouble() {
        let mut bad = good();
        bad.ghosts.push(GHOST + millis(100));
        bad.lost_tail.push(LOST_TAIL + millis(100));
        bad.storm.as_mut().unwrap().back = Some(STORM + millis(100));
        let expected = [
            "a user of a dead node was shown as online for 7.1s",
            "a lost tail arrived after 6.1s",
            "after a storm, all clients were back after Some(30.1s)",
        ];
        assert_eq!(problems(bad, Strictness::Bounds), expected);
    }

    #[test]
    fn whoever_never_comes_back_is_a_trouble() {
        let mut bad = good();
        bad.storm.as_mut().unwrap().back = None;
        assert_eq!(
            problems(bad, Strictness::Bounds),
            ["after a storm, all clients were back after None"]
        );
    }

    #[test]
    fn each_missed_mark_is_a_trouble_where_marks_are_asked_for() {
        let bad = || {
            let mut bad = good();
            bad.catch_up[9].1 = millis(1_000);
            bad.ghosts.push(GHOST_TARGET + millis(100));
            let storm = bad.storm.as_mut().unwrap();
            (storm.commits_during, storm.memory_grown) = (201.0, 1.31);
            bad
        };
        let expected = [
            "up to date after a heal: p99 1.00s, the target is below 1s",
            "a user of a dead node was shown as online for 5.10s, the target is 5s",
            "in a storm, the store had 201 transactions a second, 100 before; the target is 2 times as many",
            "in a storm, memory grew to 1.31 times its size, the target is 1.3",
        ];
        assert_eq!(problems(bad(), Strictness::BoundsAndTargets), expected);
        assert_eq!(problems(bad(), Strictness::Bounds), Vec::<String>::new());
    }
}
