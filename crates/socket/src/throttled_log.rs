//! Throttling of log lines that anyone can cause: at most one line per interval, with the number of
//! occurrences.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Counts occurrences and decides when to log them.
#[derive(Debug)]
pub(crate) struct ThrottledLog {
    /// Shortest time between two log lines.
    pause: Duration,
    /// Held for a few field accesses.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    logged: Option<Instant>,
    /// Occurrences since the last log line.
    unlogged: u64,
}

impl ThrottledLog {
    /// Allows one log line per `pause`.
    pub(crate) fn new(pause: Duration) -> Self {
        Self {
            pause,
            state: Mutex::default(),
        }
    }

    /// Counts one occurrence. Returns the number of occurrences since the last line if a line is due now.
    pub(crate) fn record(&self, now: Instant) -> Option<u64> {
        self.record_many(now, 1)
    }

    /// Like [`ThrottledLog::record`], for several occurrences at once.
    pub(crate) fn record_many(&self, now: Instant, occurrences: u64) -> Option<u64> {
        let mut state = self.state.lock();
        state.unlogged = state.unlogged.saturating_add(occurrences);
        let is_due = state
            .logged
            .is_none_or(|logged| now.saturating_duration_since(logged) >= self.pause);
        if !is_due {
            return None;
        }
        state.logged = Some(now);
        Some(std::mem::take(&mut state.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_occurrence_is_logged_and_later_ones_are_summed() {
        let (throttled_log, start) = (ThrottledLog::new(Duration::from_secs(10)), Instant::now());
        let at = |ms| throttled_log.record(start + Duration::from_millis(ms));
        assert_eq!(at(0), Some(1));
        for ms in 1..2_000 {
            assert_eq!(at(ms), None);
        }
        assert_eq!(at(10_000), Some(2_000));
        assert_eq!(at(19_999), None);
        assert_eq!(at(100_000), Some(2));
        assert_eq!(at(0), None, "an older moment is no later one");
    }
}
