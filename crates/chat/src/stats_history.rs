//! The figures of the nodes over the last hours, so that an operator sees a trend without a metrics server.

use std::collections::VecDeque;

use crate::stats::{NodeStats, Stats};

/// Milliseconds between two samples.
pub(crate) const STEP_MS: i64 = 15_000;
/// Samples kept: three hours.
const SAMPLES: usize = 720;

/// The figures of the nodes at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct StatsSample {
    /// Milliseconds since 1970.
    pub at: i64,
    /// The figures of this node.
    pub stats: Stats,
    /// The figures of the other nodes, as of their last heartbeats; `None` if the registry did not answer.
    pub others: Option<Vec<NodeStats>>,
}

/// The latest samples, oldest first.
#[derive(Debug, Default)]
pub(crate) struct StatsHistory {
    samples: VecDeque<StatsSample>,
    /// When the next sample is due, in milliseconds of the monotonic clock.
    next: i64,
}

impl StatsHistory {
    pub(crate) fn is_due(&self, monotonic_ms: i64) -> bool {
        monotonic_ms >= self.next
    }

    pub(crate) fn add(&mut self, monotonic_ms: i64, sample: StatsSample) {
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        self.next = monotonic_ms.saturating_add(STEP_MS);
    }

    pub(crate) fn samples(&self) -> Vec<StatsSample> {
        self.samples.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{message_rate::PerSecond, metrics::Messages};

    fn sample(at: i64) -> StatsSample {
        let stats = Stats {
            connections: 1,
            users: 1,
            rooms: 1,
            messages: Messages::default(),
            per_second: PerSecond::default(),
        };
        StatsSample {
            at,
            stats,
            others: None,
        }
    }

    #[test]
    fn the_history_keeps_the_latest_samples_in_order() {
        let mut history = StatsHistory::default();
        for n in 0..1_000 {
            assert!(history.is_due(n * STEP_MS));
            history.add(n * STEP_MS, sample(n));
            assert!(!history.is_due(n * STEP_MS + STEP_MS - 1));
        }
        let kept: Vec<_> = history.samples().iter().map(|sample| sample.at).collect();
        assert_eq!(kept, (280..1_000).collect::<Vec<_>>());
    }
}
