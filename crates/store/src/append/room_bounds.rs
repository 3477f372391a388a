//! The first and the newest entry of a room while a transaction appends to it or removes from it, as a value.
//!
//! A transaction reads them once and writes them back once, however many entries it adds.

use std::ops::Range;

use crate::{LogPosition, Retention, RoomId, RoomRow, rows, unread::RoomTotals};

/// The fewest rows that a sweep along with an append removes.
const SWEEP: u64 = 64;

/// The bounds of a room's log, as a transaction leaves them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoomBounds {
    pub(crate) row: RoomRow,
    /// The database has no row below this number. Never above `row.first`.
    pub(crate) swept: u64,
    /// The newest message; 0 if there was never one.
    pub(crate) last_message: u64,
    /// See [`crate::InboxCursor`].
    pub(crate) active_position: LogPosition,
    /// Messages ever appended.
    pub(crate) messages: u64,
    /// Messages that users deleted.
    pub(crate) deletions: u64,
    /// Entries that this transaction appended.
    pub(crate) appended: u64,
    /// The latest time of those entries; `i64::MIN` without one.
    pub(crate) appended_at: i64,
    pub(crate) changed: bool,
}

/// Rows of a room that the caller must delete, since they are no longer kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sweep {
    pub(crate) room: RoomId,
    pub(crate) span: Range<u64>,
    /// Entries from this time on leave their dedup records.
    pub(crate) dedup_from: i64,
}

impl RoomBounds {
    /// The number that the next entry gets.
    pub(crate) fn next_seq(&self) -> u64 {
        self.row.head + 1
    }

    /// Takes the next number, and drops the oldest entries beyond the room's limit.
    pub(crate) fn append(&mut self, at: i64, max_entries: u64) {
        self.row.head += 1;
        self.appended += 1;
        self.appended_at = self.appended_at.max(at);
        self.keep_newest(max_entries);
        self.changed = true;
    }

    /// Notes that the entry just appended is a message at this position.
    pub(crate) fn note_message(&mut self, position: LogPosition) {
        self.last_message = self.row.head;
        self.active_position = position;
        self.messages += 1;
    }

    /// The numbers from which unread messages are counted.
    pub(crate) fn totals(&self) -> RoomTotals {
        RoomTotals {
            room: self.row.id,
            first: self.row.first,
            head: self.row.head,
            messages: self.messages,
            deletions: self.deletions,
        }
    }

    /// Keeps `max_entries`, or fewer if the room has a lower limit of its own.
    pub(crate) fn keep_newest(&mut self, max_entries: u64) {
        let limit = match self.row.history {
            // The server's own rooms keep as much as the server needs, whatever applies to rooms of clients.
            Some(own) if rows::is_internal(&self.row.name) => own,
            Some(own) => own.min(max_entries),
            None => max_entries,
        };
        self.trim_before((self.row.head + 1).saturating_sub(limit));
    }

    /// Drops the entries before `first`.
    pub(crate) fn trim_before(&mut self, first: u64) {
        if first > self.row.first {
            self.row.first = first;
            self.changed = true;
        }
    }

    /// The rows that the caller must delete now: up to `limit` of those that are no longer kept. `None` if
    /// there are none.
    pub(crate) fn sweep(&mut self, limit: u64, dedup_from: i64) -> Option<Sweep> {
        let start = self.swept;
        let end = self.row.first.min(start.saturating_add(limit)).max(start);
        if end == start {
            return None;
        }
        self.swept = end;
        self.changed = true;
        Some(Sweep {
            room: self.row.id,
            span: start..end,
            dedup_from,
        })
    }

    /// The rows that the caller must delete along with its appends: bounded, but more than it appended, so
    /// that a room does not accumulate rows that are no longer kept.
    pub(crate) fn sweep_after_append(&mut self, retention: &Retention) -> Option<Sweep> {
        if self.appended == 0 || self.row.first - self.swept < SWEEP {
            return None;
        }
        let limit = SWEEP.saturating_add(self.appended.saturating_mul(2));
        self.sweep(limit, self.appended_at.saturating_sub(retention.dedup_for_ms))
    }
}
