//! A slot for a connection to a peer.

use std::sync::{Arc, atomic::Ordering};

use tokio::sync::OwnedSemaphorePermit;

use super::metrics::Metrics;

/// A slot for a connection to a peer. Dropping it frees the slot.
pub(super) struct ForwardPermit {
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl ForwardPermit {
    pub(super) fn new(metrics: Arc<Metrics>, permit: OwnedSemaphorePermit) -> Self {
        metrics.open.increment(1);
        metrics.open_now.fetch_add(1, Ordering::Relaxed);
        ForwardPermit {
            metrics,
            _permit: permit,
        }
    }

    /// Counts the bytes that a tunnel carried.
    pub(super) fn tunnelled(&self, bytes: u64) {
        self.metrics.tunnelled.increment(bytes);
    }
}

impl Drop for ForwardPermit {
    fn drop(&mut self) {
        self.metrics.open.decrement(1);
        self.metrics.open_now.fetch_sub(1, Ordering::Relaxed);
    }
}
