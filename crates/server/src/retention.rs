//! The periodic removal of expired messages, notifications, reports, audit records and revocations.

use std::{sync::Arc, time::Duration};

use roomful_store::{Store, StoreError};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{chat::millis, clock, config::Config, store};

/// What to remove, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Retention {
    messages: roomful_store::Retention,
    notifications: roomful_store::NotificationRetention,
    revocations_kept_ms: i64,
    audit_kept_ms: i64,
    reports_kept_ms: i64,
    every: Duration,
}

impl Retention {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            messages: store::retention(config),
            notifications: store::notifications(config),
            revocations_kept_ms: millis(config.auth.revocations_kept.0),
            audit_kept_ms: millis(config.audit.keep.0),
            reports_kept_ms: millis(config.reports.keep.0),
            every: config.history.trim_interval.0,
        }
    }

    /// Runs until it is aborted.
    pub(crate) async fn run(self, store: Arc<dyn Store>) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut wall_clock = WallClock::read(clock::unix_millis(), Instant::now());
        loop {
            ticks.tick().await;
            let now = clock::unix_millis();
            if wall_clock.is_trusted(now, Instant::now()) {
                self.apply(&*store, now).await;
            }
        }
    }

    async fn apply(self, store: &dyn Store, now: i64) {
        report("messages", store.trim(self.messages, now).await);
        report(
            "notifications",
            store.trim_notifications(self.notifications, now).await,
        );
        report("audit records", store.trim_audit(self.audit_kept_ms, now).await);
        report("reports", store.trim_reports(self.reports_kept_ms, now).await);
        let cutoff = now.saturating_sub(self.revocations_kept_ms);
        if let Err(error) = store.forget_revocations(cutoff).await {
            tracing::warn!(%error, "failed to remove old revocations, retrying later");
        }
        // Ended bans and mutes have no effect. They are kept as long, for those who look them up.
        if let Err(error) = store.forget_sanctions(cutoff).await {
            tracing::warn!(%error, "failed to remove ended bans and mutes, retrying later");
        }
    }
}

/// The largest difference between the wall clock and the monotonic one that counts as a correction.
const CORRECTION_MS: i64 = 3_600_000;
/// After a larger jump the server removes nothing for this long, so that an operator can set the clock.
const SETTLES_IN: Duration = Duration::from_hours(24);

/// The wall clock, which may jump. Rows that a wrong clock removes are lost.
struct WallClock {
    /// Milliseconds since 1970 at `read_at`.
    wall: i64,
    read_at: Instant,
    distrusted_until: Option<Instant>,
}

impl WallClock {
    fn read(wall: i64, now: Instant) -> Self {
        Self {
            wall,
            read_at: now,
            distrusted_until: None,
        }
    }

    /// False for a day after the clock has jumped.
    fn is_trusted(&mut self, wall: i64, now: Instant) -> bool {
        let passed = millis(now.duration_since(self.read_at));
        let jumped = wall.saturating_sub(self.wall).saturating_sub(passed);
        (self.wall, self.read_at) = (wall, now);
        if jumped.saturating_abs() > CORRECTION_MS {
            self.distrusted_until = Some(now + SETTLES_IN);
            tracing::warn!(
                seconds = jumped / 1_000,
                "the clock has jumped, so nothing expired is removed for a day"
            );
        }
        self.distrusted_until.is_none_or(|until| now >= until)
    }
}

fn report(what: &str, outcome: Result<u64, StoreError>) {
    match outcome {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "removed expired {what}"),
        Err(error) => tracing::warn!(%error, "failed to remove expired {what}, retrying later"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_trusted_again_after_a_day() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut clock = WallClock::read(0, start);
        assert!(clock.is_trusted(10_000, at(10)));
        assert!(clock.is_trusted(60_000, at(20)), "a correction");
        let ahead = 100 * 86_400_000;
        assert!(!clock.is_trusted(ahead, at(30)));
        assert!(!clock.is_trusted(ahead + 10_000, at(40)));
        assert!(!clock.is_trusted(50_000, at(50)), "it was set back");
        assert!(!clock.is_trusted(86_400_000, at(86_400)));
        assert!(clock.is_trusted(86_450_000, at(86_450)));
    }
}
