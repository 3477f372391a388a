//! Messages per second over the last minute, as a value that samples the counts.

use std::collections::VecDeque;

use crate::metrics::Messages;

/// Time between two samples, in milliseconds.
const STEP_MS: i64 = 5_000;
/// Samples kept: with the present they span a minute.
const SAMPLES: usize = 12;

/// The latest samples, oldest first; never empty.
#[derive(Debug)]
pub(crate) struct MessageRate {
    samples: VecDeque<(i64, Messages)>,
    next: i64,
}

/// Messages per second, on average.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct PerSecond {
    /// Committed messages.
    pub committed: f64,
    /// Messages queued for a socket, counted for each socket.
    pub delivered: f64,
}

impl MessageRate {
    pub(crate) fn starting(now_ms: i64) -> Self {
        Self {
            samples: VecDeque::from([(now_ms, Messages::default())]),
            next: now_ms.saturating_add(STEP_MS),
        }
    }

    /// When the next sample is due.
    pub(crate) fn next_sample(&self) -> i64 {
        self.next
    }

    pub(crate) fn sample(&mut self, now_ms: i64, messages: Messages) {
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((now_ms, messages));
        self.next = now_ms.saturating_add(STEP_MS);
    }

    pub(crate) fn per_second(&self, now_ms: i64, messages: Messages) -> PerSecond {
        let Some((since, before)) = self.samples.front() else {
            return PerSecond::default();
        };
        // A shorter time says little, and zero can't divide.
        let seconds = precise(now_ms.saturating_sub(*since).max(1_000).unsigned_abs()) / 1_000.0;
        let rate = |now: u64, before: u64| precise(now.saturating_sub(before)) / seconds;
        PerSecond {
            committed: rate(messages.committed, before.committed),
            delivered: rate(messages.delivered, before.delivered),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "an average is not exact anyway")]
fn precise(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(committed: u64) -> Messages {
        Messages {
            committed,
            delivered: 10 * committed,
        }
    }

    #[test]
    fn the_average_covers_the_last_minute() {
        let mut rate = MessageRate::starting(0);
        let at = |rate: &MessageRate, now, count| rate.per_second(now, messages(count)).committed;
        assert!((at(&rate, 0, 0) - 0.0).abs() < 1e-9);
        assert!((at(&rate, 2_000, 10) - 5.0).abs() < 1e-9);
        // A burst of 600, then silence.
        for step in 1..=13 {
            let now = rate.next_sample();
            assert_eq!(now, step * STEP_MS);
            rate.sample(now, messages(600));
            let expected = if step < 12 {
                600.0 / (5.0 * f64::from(i32::try_from(step).unwrap()))
            } else {
                0.0
            };
            assert!((at(&rate, now, 600) - expected).abs() < 1e-9, "{step}");
        }
        assert_eq!(rate.samples.len(), SAMPLES);
        assert!((rate.per_second(125_000, messages(1_200)).delivered - 6_000.0 / 115.0).abs() < 1e-9);
    }
}
