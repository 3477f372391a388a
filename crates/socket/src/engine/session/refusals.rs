//! Counts of refused events, and of packets without an event, of one connection in a window of time.

use std::time::Duration;

use tokio::time::Instant;

/// Limits on refused events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusalLimits {
    pub(crate) window: Duration,
    pub(crate) events: u32,
    pub(crate) bytes: usize,
}

/// Refused events and their bytes since the window began. Also counts packets without an event, which have no
/// bytes: pings, pongs, noops, and acks that nobody asked for. No rate limit sees those.
#[derive(Debug)]
pub(crate) struct WindowCounts {
    since: Instant,
    events: u32,
    bytes: usize,
}

impl WindowCounts {
    pub(crate) fn new(now: Instant) -> Self {
        WindowCounts {
            since: now,
            events: 0,
            bytes: 0,
        }
    }

    /// Counts one more. `true` if the connection has exceeded a limit.
    pub(crate) fn record(&mut self, now: Instant, bytes: usize, limits: RefusalLimits) -> bool {
        if now.saturating_duration_since(self.since) >= limits.window {
            *self = WindowCounts::new(now);
        }
        self.events = self.events.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.events > limits.events || self.bytes > limits.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RefusalLimits = RefusalLimits {
        window: Duration::from_secs(10),
        events: 3,
        bytes: 100,
    };

    #[test]
    fn events_and_bytes_are_limited_within_a_window() {
        let start = Instant::now();
        let mut refusals = WindowCounts::new(start);
        for _ in 0..3 {
            assert!(!refusals.record(start, 1, LIMITS));
        }
        assert!(refusals.record(start, 1, LIMITS), "too many events");
        let later = start + LIMITS.window;
        assert!(!refusals.record(later, 100, LIMITS), "a new window");
        assert!(refusals.record(later, 1, LIMITS), "too many bytes");
    }

    #[test]
    fn packets_without_an_event_are_limited_within_a_window() {
        let start = Instant::now();
        let mut idle = WindowCounts::new(start);
        for _ in 0..3 {
            assert!(!idle.record(start, 0, LIMITS));
        }
        assert!(idle.record(start, 0, LIMITS));
        assert!(!idle.record(start + LIMITS.window, 0, LIMITS), "a new window");
    }
}
