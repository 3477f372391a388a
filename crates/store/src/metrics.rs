//! The metrics of a store. Their handles are made once, when it opens.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::{Outage, StoreError};

pub(crate) struct Metrics {
    pub(crate) commit_seconds: Histogram,
    pub(crate) batch_size: Histogram,
    pub(crate) queue: Gauge,
    disk_full: Counter,
    io: Counter,
    connection: Counter,
    busy: Counter,
    fenced: Counter,
    closed: Counter,
    internal: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let errors = |kind: &'static str| counter!("roomful_store_errors_total", "kind" => kind);
        Self {
            commit_seconds: histogram!("roomful_store_commit_seconds"),
            batch_size: histogram!("roomful_store_batch_size"),
            queue: gauge!("roomful_store_queue"),
            disk_full: errors("disk_full"),
            io: errors("io"),
            connection: errors("connection"),
            busy: errors("busy"),
            fenced: errors("fenced"),
            closed: errors("closed"),
            internal: errors("internal"),
        }
    }

    /// Counts a call that failed.
    pub(crate) fn failed(&self, error: &StoreError) {
        match error {
            StoreError::Unavailable(Outage::DiskFull) => &self.disk_full,
            StoreError::Unavailable(Outage::Io(_)) => &self.io,
            StoreError::Unavailable(Outage::Connection(_) | Outage::Replaced) => &self.connection,
            StoreError::Unavailable(Outage::Busy) => &self.busy,
            StoreError::Unavailable(Outage::Fenced) => &self.fenced,
            StoreError::Unavailable(Outage::Closed) => &self.closed,
            StoreError::Internal(_) | StoreError::Setup(_) => &self.internal,
        }
        .increment(1);
    }
}

/// A count as a metric takes it.
pub(crate) fn to_f64(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}
