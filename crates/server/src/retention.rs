//! The periodic removal of expired messages, notifications, reports, audit records and revocations.

use std::{sync::Arc, time::Duration};

use roomful_store::{Store, StoreError};
use tokio::time::{MissedTickBehavior, interval};

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
        loop {
            ticks.tick().await;
            self.apply(&*store).await;
        }
    }

    async fn apply(self, store: &dyn Store) {
        let now = clock::unix_millis();
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

fn report(what: &str, outcome: Result<u64, StoreError>) {
    match outcome {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "removed expired {what}"),
        Err(error) => tracing::warn!(%error, "failed to remove expired {what}, retrying later"),
    }
}
