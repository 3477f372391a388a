//! How far this machine's clock is from the database's, which all nodes share: a gauge, and a warning when it
//! is far.

use std::{sync::Arc, time::Duration};

use metrics::gauge;
use roomful_store::{Outage, Store, StoreError};
use tokio::time::sleep;

use crate::clock;

/// How often the clocks are compared.
const INTERVAL: Duration = Duration::from_mins(1);
/// Beyond this, users notice: times of messages, and ends of tokens, bans and mutes differ between nodes.
const FAR_MS: i64 = 1_000;

/// How far this machine's clock is ahead of the database's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skew {
    /// Negative if it is behind.
    ahead_ms: i64,
    /// The error of `ahead_ms` at most: half the round trip of the query.
    margin_ms: i64,
}

impl Skew {
    /// The skew by the local times `before` and `after` the query, and the database's time `there`.
    fn between(before: i64, there: i64, after: i64) -> Self {
        let margin_ms = (after.saturating_sub(before) / 2).max(0);
        Self {
            ahead_ms: before.saturating_add(margin_ms).saturating_sub(there),
            margin_ms,
        }
    }

    /// Asks the store for the time. `None` if it has no clock but this machine's.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn measure(store: &dyn Store) -> Result<Option<Self>, StoreError> {
        let before = clock::unix_millis();
        let there = store.clock().await?;
        Ok(there.map(|there| Self::between(before, there, clock::unix_millis())))
    }

    /// Whether the clocks are far apart for certain.
    pub(crate) fn is_far(self) -> bool {
        self.ahead_ms.saturating_abs() > FAR_MS.saturating_add(self.margin_ms)
    }

    /// In seconds; negative if this machine's clock is behind.
    #[expect(clippy::cast_precision_loss, reason = "exact for thousands of years")]
    pub(crate) fn seconds(self) -> f64 {
        self.ahead_ms as f64 / 1_000.0
    }
}

/// Compares the clocks at intervals until the store closes. Ends at once if the store has no clock but this
/// machine's.
pub(crate) async fn watch(store: Arc<dyn Store>) {
    let mut was_far = false;
    loop {
        match Skew::measure(&*store).await {
            Ok(None) | Err(StoreError::Unavailable(Outage::Closed)) => return,
            Ok(Some(skew)) => {
                gauge!("roomful_cluster_clock_skew_seconds").set(skew.seconds());
                note(skew, was_far);
                was_far = skew.is_far();
            }
            Err(error) => tracing::debug!(%error, "failed to read the database's clock, retrying"),
        }
        sleep(INTERVAL).await;
    }
}

/// Logs that the clocks are far apart, or no longer, once for each change.
fn note(skew: Skew, was_far: bool) {
    let seconds = skew.seconds();
    match (was_far, skew.is_far()) {
        (false, true) => tracing::warn!(
            seconds,
            "this machine's clock is far from the database's; set both by NTP"
        ),
        (true, false) => tracing::info!(seconds, "this machine's clock is near the database's again"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skew_counts_from_the_middle_of_the_question() {
        let skew = Skew::between(1_000, 900, 1_200);
        assert_eq!((skew.ahead_ms, skew.margin_ms), (200, 100));
        let behind = Skew::between(1_000, 6_000, 1_000);
        assert!(behind.is_far() && behind.seconds() < 0.0);
    }

    #[test]
    fn a_slow_answer_proves_no_skew() {
        assert!(!Skew::between(0, 5_000, 10_000).is_far());
        assert!(!Skew::between(0, 8_000, 10_000).is_far());
        assert!(Skew::between(0, 12_000, 10_000).is_far());
        assert!(!Skew::between(1_000, 2_000, 1_000).is_far());
        assert!(Skew::between(1_000, 2_001, 1_000).is_far());
        // This clock was set back in between.
        assert!(!Skew::between(1_000, 500, 0).is_far());
    }
}
