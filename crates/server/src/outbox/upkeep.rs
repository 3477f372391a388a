//! Recurring upkeep of the outbox: gauges, and removal of old and excess records.

use std::{collections::HashMap, sync::Arc, time::Duration};

use metrics::{counter, gauge};
use roomful_store::{Outage, Outbox, OutboxRetention, RecordState, Store, StoreError};
use tokio::time::{MissedTickBehavior, interval};

use crate::{chat::millis, clock, config::Config};

/// Interval between two runs.
const INTERVAL: Duration = Duration::from_secs(15);

/// Retention from the settings.
pub(super) fn keep(config: &Config) -> OutboxRetention {
    OutboxRetention {
        delivered_ms: millis(config.outbox.keep_delivered.0),
        dead_ms: millis(config.outbox.keep_dead.0),
        records: config.outbox.max_records,
        bytes: config.outbox.max_size.0 as u64,
    }
}

/// Size of a part of the outbox.
#[derive(Default)]
struct OutboxSize {
    records: u64,
    bytes: u64,
    /// The age of its oldest record.
    oldest_ms: i64,
}

/// Runs until the store closes.
pub(super) async fn run(store: Arc<dyn Store>, keep: OutboxRetention) {
    let Some(outbox) = store.outbox() else { return };
    // An alert is on its increase, so it exists from the start.
    counter!("roomful_webhooks_dropped_total", "cause" => "outbox_full").absolute(0);
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = HashMap::new();
    loop {
        ticks.tick().await;
        match once(outbox, keep, &mut known).await {
            Ok(()) => {}
            Err(StoreError::Unavailable(Outage::Closed)) => return,
            Err(error) => tracing::warn!(%error, "failed to trim the outbox, retrying"),
        }
    }
}

async fn once(
    outbox: &dyn Outbox,
    keep: OutboxRetention,
    known: &mut HashMap<(String, RecordState), OutboxSize>,
) -> Result<(), StoreError> {
    let removed = outbox.trim(keep, clock::unix_millis()).await?;
    if removed.pending > 0 {
        counter!("roomful_webhooks_dropped_total", "cause" => "outbox_full").increment(removed.pending);
        tracing::error!(
            records = removed.pending,
            "dropped pending records: the outbox exceeds outbox.max_records or outbox.max_size"
        );
    }
    // Series without records show 0.
    for size in known.values_mut() {
        *size = OutboxSize::default();
    }
    for count in outbox.counts().await? {
        let size = OutboxSize {
            records: count.records,
            bytes: count.bytes,
            oldest_ms: clock::unix_millis().saturating_sub(count.oldest_at).max(0),
        };
        known.insert((count.sink, count.state), size);
    }
    for ((sink, state), size) in known {
        let name = match state {
            RecordState::Pending => "roomful_webhooks_pending",
            RecordState::Delivered => "roomful_webhooks_delivered",
            RecordState::Dead => "roomful_webhooks_dead",
        };
        #[expect(clippy::cast_precision_loss, reason = "exact for any number of records")]
        gauge!(name, "endpoint" => sink.clone()).set(size.records as f64);
        if *state == RecordState::Pending {
            #[expect(clippy::cast_precision_loss, reason = "exact for any number of bytes")]
            gauge!("roomful_webhooks_pending_bytes", "endpoint" => sink.clone()).set(size.bytes as f64);
            let age = Duration::from_millis(size.oldest_ms.unsigned_abs());
            gauge!("roomful_webhooks_oldest_pending_seconds", "endpoint" => sink.clone())
                .set(age.as_secs_f64());
        }
    }
    Ok(())
}
