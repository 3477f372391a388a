//! A histogram of latencies: from a microsecond to a minute, exact to three digits.

use hdrhistogram::Histogram;

const HIGHEST_MICROS: u64 = 60_000_000;

/// Latencies of one run.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// An empty histogram.
    #[expect(
        clippy::expect_used,
        reason = "the bounds are constants, and a test makes one"
    )]
    pub(crate) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, HIGHEST_MICROS, 3).expect("constant bounds"))
    }

    /// Adds a latency in nanoseconds. It counts from the time when the message was *due*, so a stalled
    /// server pays for the messages it delayed.
    pub(crate) fn record(&mut self, nanos: u64) {
        self.0.saturating_record((nanos / 1000).max(1));
    }

    /// The quantile in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "three digits are all that is kept")]
    pub(crate) fn millis(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// Adds all latencies of another histogram.
    pub(crate) fn add(&mut self, other: &Self) {
        // Both have the same bounds, so no value can fall outside.
        let _ = self.0.add(&other.0);
    }

    /// Number of latencies.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_milliseconds() {
        let mut latencies = Latencies::new();
        for micros in 1..=1000 {
            latencies.record(micros * 1000);
        }
        assert_eq!(latencies.count(), 1000);
        assert!((latencies.millis(0.99) - 0.99).abs() < 0.01);
    }
}
