//! When a record that failed is tried again, as a value: no clock, no randomness of its own.

/// The pace of the attempts at one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// Milliseconds to the second attempt; each further wait is twice the one before ...
    pub(crate) first_ms: i64,
    /// ... up to this.
    pub(crate) most_ms: i64,
    /// Attempts after which it is given up.
    pub(crate) attempts: u32,
}

impl Backoff {
    /// Milliseconds to the next attempt after `failed` ones, or `None` if it is given up. Between half and all of the
    /// full wait, as `dice` (0 to 1) says, so that what failed together does not come back together. An endpoint that
    /// asks for a longer wait gets it, up to the most.
    pub(crate) fn after(&self, failed: u32, asked_ms: Option<i64>, dice: f64) -> Option<i64> {
        if failed >= self.attempts {
            return None;
        }
        let doublings = failed.saturating_sub(1).min(32);
        let full = self.first_ms.saturating_mul(1 << doublings).min(self.most_ms);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "milliseconds of a few days"
        )]
        let wait = (full as f64 * (0.5 + dice.clamp(0.0, 1.0) / 2.0)) as i64;
        Some(wait.max(asked_ms.unwrap_or(0).min(self.most_ms)).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first_ms: 1_000,
        most_ms: 10_000,
        attempts: 6,
    };

    #[test]
    fn waits_double_up_to_the_most_and_end() {
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
    fn dice_take_up_to_half_off() {
        assert_eq!(BACKOFF.after(1, None, 0.0), Some(500));
        assert_eq!(BACKOFF.after(1, None, 0.5), Some(750));
    }

    #[test]
    fn an_endpoint_may_ask_for_more_within_the_most() {
        assert_eq!(BACKOFF.after(1, Some(3_000), 1.0), Some(3_000));
        assert_eq!(BACKOFF.after(1, Some(1), 1.0), Some(1_000));
        assert_eq!(BACKOFF.after(1, Some(i64::MAX), 1.0), Some(10_000));
    }
}
