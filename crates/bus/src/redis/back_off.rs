//! Exponential back-off with jitter between attempts to connect.

use std::time::Duration;

use tokio::time::sleep;

/// Pauses that double up to a limit. Jitter keeps the nodes of a cluster from reconnecting all at once.
pub(crate) struct BackOff {
    next: Duration,
    max: Duration,
}

impl BackOff {
    pub(crate) fn new(max: Duration) -> Self {
        let mut back_off = Self {
            next: Duration::ZERO,
            max,
        };
        back_off.reset();
        back_off
    }

    /// Starts over after a success.
    pub(crate) fn reset(&mut self) {
        self.next = (self.max / 50).max(Duration::from_millis(1));
    }

    pub(crate) async fn wait(&mut self) {
        sleep(self.step()).await;
    }

    fn step(&mut self) -> Duration {
        let wait = self.next.mul_f64(rand::random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.max);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit() {
        let mut back_off = BackOff::new(Duration::from_secs(2));
        for bound in [40, 80, 160, 320, 640, 1280, 2000, 2000] {
            let bound = Duration::from_millis(bound);
            let wait = back_off.step();
            assert!(bound / 2 <= wait && wait <= bound, "{wait:?}");
        }
        back_off.reset();
        assert!(back_off.step() <= Duration::from_millis(40));
    }
}
