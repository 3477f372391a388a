//! Options and limits of a store, and the choice of the engine by URL.

use std::{path::PathBuf, time::Duration};

use crate::{NotificationRetention, OutboxOptions, StoreError};

/// Retention of a room's log. Entries beyond either limit are removed, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Entries per room, at least 1.
    pub max_entries: u64,
    /// Age in milliseconds. Only [`Log::trim`](crate::Log::trim) applies it.
    pub max_age_ms: i64,
    /// Time in milliseconds, from the time of an entry, for which a retry under its client id is recognised
    /// although the entry is removed. Longer until the next [`Log::trim`](crate::Log::trim).
    pub dedup_for_ms: i64,
    /// Removed entries per room whose retries are recognised, at least 1. Only
    /// [`Log::trim`](crate::Log::trim) applies it.
    pub dedup_per_room: u64,
    /// Time in milliseconds after which a room goes that a user's join created, if it never had an entry and
    /// has no members. Only [`Log::trim`](crate::Log::trim) applies it.
    pub unused_rooms_for_ms: i64,
}

/// What one user may store. Days are UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Bytes of entries that a user appends in a day, with an overhead for each entry; 0 for any number. A
    /// node reserves a 64th in advance and wastes it if it ends abruptly.
    pub daily_bytes: u64,
    /// Rooms that a user creates in a day; 0 for any number.
    pub daily_rooms: u64,
    /// Edits of one message; 0 for any number.
    pub edits: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            daily_bytes: 256 << 20,
            daily_rooms: 1_000,
            edits: 1_000,
        }
    }
}

impl Retention {
    /// Keeps nothing, for the removal of a room.
    pub(crate) const NOTHING: Self = Self {
        max_entries: u64::MAX,
        max_age_ms: 0,
        dedup_for_ms: 0,
        dedup_per_room: u64::MAX,
        unused_rooms_for_ms: i64::MAX,
    };
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            max_entries: 10_000,
            max_age_ms: 90 * 24 * 3_600_000,
            dedup_for_ms: 48 * 3_600_000,
            dedup_per_room: 500_000,
            unused_rooms_for_ms: 24 * 3_600_000,
        }
    }
}

/// Options of a store. All counts are at least 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Retention that an append applies to its rooms.
    pub retention: Retention,
    /// What one user may store.
    pub quotas: Quotas,
    /// Retention that posts and marks apply to their users' notifications.
    pub notifications: NotificationRetention,
    /// Queued writes.
    pub queue_writes: usize,
    /// Bytes of the writes that are queued or in progress.
    pub queue_bytes: usize,
    /// Entries and other writes in one commit.
    pub batch_writes: usize,
    /// Bytes in one commit.
    pub batch_bytes: usize,
    /// SQLite: reader threads, each with its own connection; 16 at most.
    pub readers: usize,
    /// Queued reads.
    pub queue_reads: usize,
    /// Queued reads of one [`crate::Caller`]; further ones fail with [`crate::Outage::Busy`].
    pub queue_reads_per_user: usize,
    /// How long a call waits for a place in a full queue before it fails with [`crate::Outage::Busy`].
    pub queue_wait: Duration,
    /// Bytes of bodies after which a page of history or of an inbox ends. A page holds at least one entry.
    pub page_bytes: usize,
    /// Sinks of the outbox and delivery checks.
    pub outbox: OutboxOptions,
    /// Different reactions on one message.
    pub reactions: u32,
    /// Opens an existing store as a guest, beside a server that may use it at the same time. A guest never
    /// creates a store or changes its schema, does not detect restores, and must not append.
    pub guest: bool,
    /// SQLite: time within which deleted text leaves the write-ahead log.
    pub erase_within: Duration,
    /// SQLite: the largest file, in bytes, that [`compact`](crate::PersonalData::compact) rewrites.
    pub compact_up_to: u64,
    /// PostgreSQL: connections in the pool. Appends and the node's heartbeat have one more each.
    pub pool: usize,
    /// PostgreSQL: time limit of one statement and of one wait for a lock.
    pub statement_timeout: Duration,
    /// PostgreSQL: time without a heartbeat after which other nodes take over a node's sessions and sinks.
    pub node_timeout: Duration,
    /// PostgreSQL: folder for the node's watermark file, which reveals at start that the database was
    /// restored. Each node needs its own folder.
    pub folder: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            quotas: Quotas::default(),
            notifications: NotificationRetention::default(),
            queue_writes: 4096,
            queue_bytes: 16 << 20,
            batch_writes: 1024,
            batch_bytes: 4 << 20,
            readers: 2,
            queue_reads: 1024,
            queue_reads_per_user: 256,
            queue_wait: Duration::from_secs(5),
            page_bytes: 1 << 20,
            outbox: OutboxOptions::default(),
            reactions: 20,
            guest: false,
            erase_within: Duration::from_secs(5),
            compact_up_to: 256 << 20,
            pool: 8,
            statement_timeout: Duration::from_secs(5),
            node_timeout: Duration::from_secs(15),
            folder: None,
        }
    }
}

impl Options {
    pub(crate) fn validate(&self) -> Result<(), StoreError> {
        let at_least_one = [
            ("queue_writes", self.queue_writes),
            ("queue_bytes", self.queue_bytes),
            ("batch_writes", self.batch_writes),
            ("batch_bytes", self.batch_bytes),
            ("readers", self.readers),
            ("queue_reads", self.queue_reads),
            ("queue_reads_per_user", self.queue_reads_per_user),
            ("pool", self.pool),
            ("page_bytes", self.page_bytes),
            ("reactions", self.reactions as usize),
            (
                "retention.max_entries",
                usize::try_from(self.retention.max_entries).unwrap_or(usize::MAX),
            ),
            (
                "retention.dedup_per_room",
                usize::try_from(self.retention.dedup_per_room).unwrap_or(usize::MAX),
            ),
            (
                "notifications.max_per_user",
                usize::try_from(self.notifications.max_per_user).unwrap_or(usize::MAX),
            ),
            (
                "notifications.devices_per_user",
                self.notifications.devices_per_user as usize,
            ),
        ];
        for (name, value) in at_least_one {
            if value == 0 {
                return Err(StoreError::Setup(format!(
                    "the store's {name} is 0; it must be at least 1"
                )));
            }
        }
        for (name, value) in [
            ("statement_timeout", self.statement_timeout),
            ("node_timeout", self.node_timeout),
        ] {
            if value < Duration::from_millis(100) {
                return Err(StoreError::Setup(format!(
                    "the store's {name} is {value:?}; it must be at least 100 ms"
                )));
            }
        }
        if self.readers > 16 {
            return Err(StoreError::Setup(format!(
                "the store's readers is {}; 16 at most",
                self.readers
            )));
        }
        Ok(())
    }
}
