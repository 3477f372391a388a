//! What anybody can cause is told at most once in a while, with how often it has happened: a log must not grow with what
//! strangers send.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Counts what happens, and says when to tell of it.
#[derive(Debug)]
pub(crate) struct Seldom {
    /// How long is told of nothing after something was told.
    pause: Duration,
    /// Held for a moment.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    told: Option<Instant>,
    /// How often it has happened since it was told of.
    untold: u64,
}

impl Seldom {
    /// Tells at most once each `pause`.
    pub(crate) fn new(pause: Duration) -> Self {
        Self {
            pause,
            state: Mutex::default(),
        }
    }

    /// It has happened once more. If it is to be told, how often it has since the last time, this one included.
    pub(crate) fn happened(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        state.untold = state.untold.saturating_add(1);
        let is_due = state
            .told
            .is_none_or(|told| now.saturating_duration_since(told) >= self.pause);
        if !is_due {
            return None;
        }
        state.told = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_what_follows_together_after_the_pause() {
        let (seldom, start) = (Seldom::new(Duration::from_secs(10)), Instant::now());
        let at = |ms| seldom.happened(start + Duration::from_millis(ms));
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
