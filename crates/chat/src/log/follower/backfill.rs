//! Closing gaps: positions that the bus does not bring in time are read from the store.

use std::sync::Arc;

use roomful_socket::Reason;
use roomful_store::{LogEntry, LogHead, LogPosition, StoreError};
use tokio::time::{Duration, Instant};

use super::{Follower, FollowerParts};
use crate::log::reorder_buffer::Missing;

/// Positions read in one backfill.
const PAGE: u32 = 200;
/// How long an entry that another node has announced may take to arrive before it is backfilled. Far longer
/// than a bus needs, and too short for a reader to notice.
const PATIENCE: Duration = Duration::from_millis(20);
/// The first and the longest pause after a backfill failed, in milliseconds.
const RETRY_MS: std::ops::RangeInclusive<i64> = 50..=2_000;

/// What the store has of missing positions.
enum Found {
    Entries(Vec<LogEntry>),
    /// Some of them are beyond the head of the log.
    Beyond(LogHead),
}

/// The state of closing a gap.
pub(super) struct Gap {
    /// When to stop waiting for the bus.
    pub(super) patient_until: Option<Instant>,
    /// Positions to read at a time: fewer and fewer, down to one, if the store fails to read one of them.
    page: u32,
    pause_ms: i64,
}

impl Default for Gap {
    fn default() -> Self {
        Self {
            patient_until: None,
            page: PAGE,
            pause_ms: *RETRY_MS.start(),
        }
    }
}

impl Follower {
    /// Positions are missing: waits a moment for the bus to bring them, then reads them from the store.
    pub(super) async fn close_gap(&self, missing: Missing, gap: &mut Gap) {
        if let Some(cluster) = &self.parts.cluster {
            let until = *gap.patient_until.get_or_insert_with(|| Instant::now() + PATIENCE);
            if self.parts.inbox.changed_before(until).await {
                return;
            }
            cluster.backfills.increment(1);
            gap.patient_until = None;
        }
        self.backfill(missing, gap).await;
    }

    /// Reads the missing entries from the store and skips unreadable ones. If the store fails, waits
    /// before the next attempt: a delay is better than a hole.
    async fn backfill(&self, mut missing: Missing, gap: &mut Gap) {
        let FollowerParts { inbox, clock, .. } = &self.parts;
        missing.upto = missing.upto.min(missing.after.plus(gap.page.into()));
        match self.read(missing, gap.page).await {
            Ok(Found::Entries(page)) => {
                self.count_unread(&page);
                inbox.backfill(missing, page);
            }
            Ok(Found::Beyond(head)) => inbox.forget_after(&head),
            Err(error @ (StoreError::Internal(_) | StoreError::Setup(_))) => {
                // Another try would fail, too. The entries around the unreadable one are applied all the
                // same.
                if gap.page > 1 {
                    gap.page /= 2;
                    return;
                }
                let position = missing.upto.0;
                tracing::error!(%error, position, "failed to read a committed entry, skipping it");
                self.close_affected(missing.upto).await;
                inbox.backfill(missing, Vec::new());
                *gap = Gap::default();
            }
            Err(error) => {
                tracing::warn!(%error, "failed to read missing entries, retrying");
                clock.sleep(gap.pause_ms).await;
                gap.pause_ms = (gap.pause_ms * 2).min(*RETRY_MS.end());
            }
        }
    }

    /// Reads the entries at the missing positions from the store. If the last of them is absent,
    /// retention has removed it, or the bus has announced a position that the log does not have.
    async fn read(&self, missing: Missing, page: u32) -> Result<Found, StoreError> {
        let FollowerParts { store, cluster, .. } = &self.parts;
        let found = store.log_entries(missing.after, missing.upto, page).await?;
        let has_last = found.last().is_some_and(|entry| entry.position == missing.upto);
        if cluster.is_some() && !has_last {
            let head = store.read_log_head().await?;
            if head.position < missing.upto {
                return Ok(Found::Beyond(head));
            }
        }
        Ok(Found::Entries(found))
    }

    /// The entry at `position` is unreadable. Closes the connections that miss it: when they come back, they
    /// get the state of the room as it is then, or learn that it is unknown.
    async fn close_affected(&self, position: LogPosition) {
        let FollowerParts {
            store,
            rooms,
            cluster,
            namespace,
            metrics,
            ..
        } = &self.parts;
        metrics.unreadable.increment(1);
        let is_control = |room| {
            cluster
                .as_ref()
                .is_some_and(|cluster| cluster.control_room.may_be(room))
        };
        match store.room_at(position).await {
            Ok(None) => {}
            Ok(Some(id)) if !is_control(id) => {
                let room = rooms.get(id);
                for subscriber in room.map(|room| room.subscribers(usize::MAX)).unwrap_or_default() {
                    subscriber.socket.close(Reason::ForcedClose);
                }
            }
            // A control entry, or perhaps one: authentication checks everything that it may have changed.
            Ok(Some(_)) | Err(_) => {
                for socket in namespace.sockets() {
                    socket.close(Reason::ForcedClose);
                }
            }
        }
    }

    /// Members of rooms that nobody here is subscribed to may be connected here: their unread counts change.
    fn count_unread(&self, page: &[LogEntry]) {
        if self.parts.cluster.is_none() {
            return;
        }
        let counts =
            |logged: &&LogEntry| logged.entry.kind.changes_unread() && !self.parts.rooms.has(logged.room);
        let mut rooms: Vec<_> = page.iter().filter(counts).map(|logged| logged.room).collect();
        rooms.sort_unstable();
        rooms.dedup();
        let unread = Arc::clone(&self.parts.unread);
        // In a task of its own: it reads the store, and the follower must not wait for that.
        tokio::spawn(async move {
            for room in rooms {
                unread.changed_by_id(room).await;
            }
        });
    }
}
