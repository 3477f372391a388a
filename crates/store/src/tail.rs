//! The ends of a room while a transaction appends to it or removes from it, as a value: what is numbered next, what is
//! kept, what is to be swept. Heads are read once for a transaction and written back once, however many entries it adds.

use std::ops::Range;

use crate::{RoomRow, rows};

/// Entries that fell out of retention are deleted this many at a time, at least.
const SWEEP: u64 = 64;

/// A room's ends, as a transaction leaves them.
pub(crate) struct Tail {
    pub(crate) row: RoomRow,
    /// No row below this one is left; never above `row.first`.
    pub(crate) swept: u64,
    /// The newest message, 0 while there has never been one.
    pub(crate) last_message: u64,
    /// See [`crate::InboxCursor`].
    pub(crate) active_at: i64,
    /// Entries the transaction appended.
    pub(crate) appended: u64,
    pub(crate) changed: bool,
}

impl Tail {
    /// The number for the next entry; its place is taken only by [`Self::append`].
    pub(crate) fn next(&self) -> u64 {
        self.row.head + 1
    }

    /// Takes the next number, and lets the oldest entries go that no longer fit.
    pub(crate) fn append(&mut self, max_entries: u64) {
        self.row.head += 1;
        self.appended += 1;
        self.keep_newest(max_entries);
        self.changed = true;
    }

    /// The entry just appended is a message of this time.
    pub(crate) fn said(&mut self, at: i64) {
        self.last_message = self.row.head;
        self.active_at = self.active_at.max(at);
    }

    /// Only so many entries are kept, or fewer if the room says so.
    pub(crate) fn keep_newest(&mut self, max_entries: u64) {
        let most = match self.row.history {
            // The server's own rooms keep what it needs, whatever is set for those of clients.
            Some(own) if rows::is_internal(&self.row.name) => own,
            Some(own) => own.min(max_entries),
            None => max_entries,
        };
        self.keep_from((self.row.head + 1).saturating_sub(most));
    }

    /// Entries before `first` are no longer kept.
    pub(crate) fn keep_from(&mut self, first: u64) {
        if first > self.row.first {
            self.row.first = first;
            self.changed = true;
        }
    }

    /// The rows to remove next, `limit` at most, that are no longer kept. Whoever asks removes them.
    pub(crate) fn sweep(&mut self, limit: u64) -> Range<u64> {
        let start = self.swept;
        let end = self.row.first.min(start.saturating_add(limit)).max(start);
        if end > start {
            self.swept = end;
            self.changed = true;
        }
        start..end
    }

    /// The rows to remove along with an append: more than it added, and with a bound.
    pub(crate) fn sweep_along(&mut self) -> Range<u64> {
        if self.appended == 0 || self.row.first - self.swept < SWEEP {
            return self.swept..self.swept;
        }
        self.sweep(SWEEP.saturating_add(self.appended.saturating_mul(2)))
    }
}
