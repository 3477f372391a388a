//! Whether new connections are taken at all right now: not while this node has no part in its cluster, nor while the store can't
//! be asked who somebody is. They are refused before anything else (503): a load balancer takes them to another node, and the
//! stock client tries again by itself, less and less often.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use crate::{clock::Clock, cluster::Cluster};

/// How long nobody is let as far as the store after it could not be asked, in milliseconds.
const SHUT_MS: i64 = 1_000;

pub(crate) struct ConnectionGate {
    clock: Arc<dyn Clock>,
    cluster: Option<Arc<Cluster>>,
    /// On the clock that only goes on.
    shut_until: AtomicI64,
}

impl ConnectionGate {
    pub(crate) fn new(clock: &Arc<dyn Clock>, cluster: Option<&Arc<Cluster>>) -> Self {
        Self {
            clock: Arc::clone(clock),
            cluster: cluster.cloned(),
            shut_until: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.takes_part() && self.shut_until.load(Ordering::Relaxed) <= self.clock.monotonic_ms()
    }

    /// Whether this node has its part in its cluster, if it is in one.
    pub(crate) fn takes_part(&self) -> bool {
        let cluster = self.cluster.as_ref();
        cluster.is_none_or(|cluster| cluster.is_in_good_standing())
    }

    /// The store can't be asked: it is not tried with the next one at once.
    pub(crate) fn shut(&self) {
        let until = self.clock.monotonic_ms().saturating_add(SHUT_MS);
        self.shut_until.store(until, Ordering::Relaxed);
    }
}
