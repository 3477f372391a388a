//! The periodic removal of expired messages, notifications, reports, audit records and revocations.

use std::{sync::Arc, time::Duration};

use roomful_store::Store;
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
        match store.trim(self.messages, clock::unix_millis()).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed expired messages"),
            Err(error) => tracing::warn!(%error, "failed to remove expired messages, retrying later"),
        }
        let trimmed = store.trim_notifications(self.notifications, clock::unix_millis());
        match trimmed.await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed expired notifications"),
            Err(error) => tracing::warn!(%error, "failed to remove expired notifications, retrying later"),
        }
        let trimmed = store.trim_audit(clock::unix_millis().saturating_sub(self.audit_kept_ms));
        match trimmed.await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed expired audit records"),
            Err(error) => tracing::warn!(%error, "failed to remove expired audit records, retrying later"),
        }
        let trimmed = store.trim_reports(clock::unix_millis().saturating_sub(self.reports_kept_ms));
        match trimmed.await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed expired reports"),
            Err(error) => tracing::warn!(%error, "failed to remove expired reports, retrying later"),
        }
        let cutoff = clock::unix_millis().saturating_sub(self.revocations_kept_ms);
        if let Err(error) = store.forget_revocations(cutoff).await {
            tracing::warn!(%error, "failed to remove old revocations, retrying later");
        }
        // Ended bans and mutes have no effect. They are kept as long, for those who look them up.
        if let Err(error) = store.forget_sanctions(cutoff).await {
            tracing::warn!(%error, "failed to remove ended bans and mutes, retrying later");
        }
    }
}
