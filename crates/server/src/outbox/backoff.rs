//! Exponential back-off with jitter, as a pure value: the caller passes randomness.

/// Delays between attempts at one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// Milliseconds before the second attempt. Each further delay doubles.
    pub(crate) first_ms: i64,
    /// Maximum delay in milliseconds.
    pub(crate) max_ms: i64,
    /// Attempts after which a record is dead.
    pub(crate) attempts: u32,
}

impl Backoff {
    /// Milliseconds until the next attempt after `failed` attempts; `None` if the record is dead. `random`
    /// (0 to 1) picks a delay between half and all of the full one, so that records that failed together
    /// spread out. An endpoint may ask for a longer delay with `retry_after_ms`, within the maximum.
    pub(crate) fn after(&self, failed: u32, retry_after_ms: Option<i64>, random: f64) -> Option<i64> {
        if failed >= self.attempts {
            return None;
        }
        let doublings = failed.saturating_sub(1).min(32);
        let full = self.first_ms.saturating_mul(1 << doublings).min(self.max_ms);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "milliseconds of a few days"
        )]
        let wait = (full as f64 * (0.5 + random.clamp(0.0, 1.0) / 2.0)) as i64;
        Some(wait.max(retry_after_ms.unwrap_or(0).min(self.max_ms)).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first_ms: 1_000,
        max_ms: 10_000,
        attempts: 6,
    };

    #[test]
    fn delays_double_up_to_the_maximum_until_the_record_is_dead() {
        let full: Vec<_> = (1..=7).map(|failed| BACKOFF.after(failed, None, 1.0)).collect();
        assert_eq!(
            full,
            [
                Some(1_000),
                Some(2_000),
                Some(4_000),
                Some(8_000),
                Some(10_000),
                None,
                None
            ]
        );
    }

    #[test]
    fn jitter_removes_up_to_half_of_the_delay() {
        assert_eq!(BACKOFF.after(1, None, 0.0), Some(500));
        assert_eq!(BACKOFF.after(1, None, 0.5), Some(750));
    }

    #[test]
    fn retry_after_extends_the_delay_within_the_maximum() {
        assert_eq!(BACKOFF.after(1, Some(3_000), 1.0), Some(3_000));
        assert_eq!(BACKOFF.after(1, Some(1), 1.0), Some(1_000));
        assert_eq!(BACKOFF.after(1, Some(i64::MAX), 1.0), Some(10_000));
    }
}
