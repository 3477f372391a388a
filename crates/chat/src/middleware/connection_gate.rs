//! The gate for new connections: closed while this node has no lease in its cluster, and for a moment after
//! the store could not be asked who a client is.
//!
//! A closed gate refuses connections with 503 before anything else: a load balancer sends them to another
//! node, and the stock client tries again with growing pauses.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use crate::{clock::Clock, cluster::Cluster};

/// How long the gate stays closed after the store failed, in milliseconds.
const CLOSED_MS: i64 = 1_000;

/// Whether new connections are accepted.
pub(crate) struct ConnectionGate {
    clock: Arc<dyn Clock>,
    cluster: Option<Arc<Cluster>>,
    /// In milliseconds of the monotonic clock.
    closed_until: AtomicI64,
}

impl ConnectionGate {
    pub(crate) fn new(clock: &Arc<dyn Clock>, cluster: Option<&Arc<Cluster>>) -> Self {
        Self {
            clock: Arc::clone(clock),
            cluster: cluster.cloned(),
            closed_until: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.has_lease() && self.closed_until.load(Ordering::Relaxed) <= self.clock.monotonic_ms()
    }

    /// Whether this node has a lease in its cluster, or is no part of one.
    pub(crate) fn has_lease(&self) -> bool {
        let cluster = self.cluster.as_ref();
        cluster.is_none_or(|cluster| cluster.has_lease())
    }

    /// The store failed: closes the gate for a moment, so that not every client tries the store in vain.
    pub(crate) fn close_briefly(&self) {
        let until = self.clock.monotonic_ms().saturating_add(CLOSED_MS);
        self.closed_until.store(until, Ordering::Relaxed);
    }
}
