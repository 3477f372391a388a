//! When to log repeated failures: the first one, then a summary at intervals, and the recovery.

use std::time::Duration;

use tokio::time::Instant;

/// Minimum time between two lines about failures.
const INTERVAL: Duration = Duration::from_mins(5);

/// Failures of one peer, such as a sink. A pure value: the caller passes the time, and logs the results.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    /// First failure since the last success.
    failing_since: Option<Instant>,
    last_line: Option<Instant>,
    /// Failures since the last line.
    failures: u64,
    /// Whether a line has announced the current failures.
    announced: bool,
}

/// Failures that are worth a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Failed attempts since the last line, this one included.
    pub(crate) failures: u64,
    /// Time since the first failure after the last success.
    pub(crate) failing_for: Duration,
}

impl FailureLog {
    /// Counts failed attempts; returns a summary if it is time for a line.
    pub(crate) fn failed(&mut self, attempts: u64, now: Instant) -> Option<Summary> {
        let since = *self.failing_since.get_or_insert(now);
        self.failures = self.failures.saturating_add(attempts);
        if self.last_line.is_some_and(|last| now < last + INTERVAL) {
            return None;
        }
        self.last_line = Some(now);
        self.announced = true;
        Some(Summary {
            failures: std::mem::take(&mut self.failures),
            failing_for: now - since,
        })
    }

    /// Notes a success; returns how long the peer failed before, if a line has announced that.
    pub(crate) fn succeeded(&mut self, now: Instant) -> Option<Duration> {
        let since = self.failing_since.take()?;
        std::mem::take(&mut self.announced).then(|| now - since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_logs_its_start_a_summary_at_intervals_and_its_end() {
        let (mut log, start) = (FailureLog::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let summary = |failures, seconds| {
            Some(Summary {
                failures,
                failing_for: Duration::from_secs(seconds),
            })
        };
        assert_eq!(log.succeeded(at(0)), None);
        assert_eq!(log.failed(1, at(1)), summary(1, 0));
        assert_eq!(log.failed(1, at(2)), None);
        assert_eq!(log.failed(7, at(300)), None);
        assert_eq!(log.failed(1, at(301)), summary(9, 300));
        assert_eq!(log.failed(1, at(302)), None);
        assert_eq!(log.succeeded(at(303)), Some(Duration::from_secs(302)));
        assert_eq!(log.succeeded(at(304)), None);
    }

    #[test]
    fn a_peer_that_alternates_logs_at_most_once_an_interval() {
        let (mut log, start) = (FailureLog::default(), Instant::now());
        let mut lines = 0;
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            lines += u32::from(log.failed(1, now).is_some());
            lines += u32::from(log.succeeded(now).is_some());
        }
        assert_eq!(lines, 4, "two pairs in ten minutes");
    }
}
