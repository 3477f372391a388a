//! Metrics of a store. The handles are created once, at the start.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::{Outage, StoreError};

pub(crate) struct Metrics {
    pub(crate) commit_seconds: Histogram,
    pub(crate) batch_size: Histogram,
    pub(crate) queue: Gauge,
    pub(crate) dedup_records: Gauge,
    pub(crate) dedup_evicted: Counter,
    rooms_over_quota: Counter,
    bytes_over_quota: Counter,
    edits_over_quota: Counter,
    pub(crate) unused_rooms: Counter,
    /// Reads that wait for a thread, or calls that wait for a connection.
    pub(crate) reads_waiting: Gauge,
    /// Reads whose caller had gone by their turn.
    pub(crate) reads_dropped: Counter,
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
        let quota = |quota: &'static str| counter!("roomful_quota_exceeded_total", "quota" => quota);
        Self {
            rooms_over_quota: quota("daily_rooms"),
            bytes_over_quota: quota("daily_size"),
            edits_over_quota: quota("edits"),
            unused_rooms: counter!("roomful_store_unused_rooms_removed_total"),
            commit_seconds: histogram!("roomful_store_commit_seconds"),
            batch_size: histogram!("roomful_store_batch_size"),
            queue: gauge!("roomful_store_queue"),
            dedup_records: gauge!("roomful_store_dedup_records"),
            dedup_evicted: counter!("roomful_store_dedup_records_evicted_total"),
            reads_waiting: gauge!("roomful_store_reads_waiting"),
            reads_dropped: counter!("roomful_store_reads_dropped_total"),
            disk_full: errors("disk_full"),
            io: errors("io"),
            connection: errors("connection"),
            busy: errors("busy"),
            fenced: errors("fenced"),
            closed: errors("closed"),
            internal: errors("internal"),
        }
    }

    /// Counts entries that a quota rejected: that of the bytes of a day, and that of the edits of a message.
    pub(crate) fn over_quota(&self, [bytes, edits]: [u64; 2]) {
        if bytes + edits > 0 {
            self.bytes_over_quota.increment(bytes);
            self.edits_over_quota.increment(edits);
        }
    }

    /// Counts a room that was not created, since its creator has made too many today.
    pub(crate) fn room_over_quota(&self) {
        self.rooms_over_quota.increment(1);
    }

    /// Counts a failed call.
    pub(crate) fn failed(&self, error: &StoreError) {
        match error {
            StoreError::Unavailable(Outage::DiskFull) => &self.disk_full,
            StoreError::Unavailable(Outage::Io(_)) => &self.io,
            StoreError::Unavailable(Outage::Connection(_) | Outage::Replaced) => &self.connection,
            // Counted where it is dropped; nothing has failed.
            StoreError::Unavailable(Outage::Abandoned) => return,
            StoreError::Unavailable(Outage::Busy) => &self.busy,
            StoreError::Unavailable(Outage::Fenced) => &self.fenced,
            StoreError::Unavailable(Outage::Closed) => &self.closed,
            StoreError::Internal(_) | StoreError::Setup(_) => &self.internal,
        }
        .increment(1);
    }
}

/// A count as the value of a metric.
pub(crate) fn to_f64(count: impl TryInto<u32>) -> f64 {
    count.try_into().unwrap_or(u32::MAX).into()
}
