//! Entries that wait to be applied, as a value: they come in any order and leave in position order, each
//! once.
//!
//! Three sources fill the buffer. This node's own commits come as batches. Other nodes announce their commits
//! over the bus in two parts, each of which can be lost, repeated or late: a hint that names the room of each
//! position, for all nodes, and the entries themselves, for nodes that serve the room. What stays missing is
//! backfilled from the store.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use roomful_store::{LogEntry, LogHead, LogPosition, RoomId};

use crate::types::RoomName;

/// Bounds for hints and for entries from the bus. The buffer drops what exceeds them; it is backfilled in its
/// turn.
const MAX_ENTRIES: usize = 16_384;
/// Bound for the bodies of these entries, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// The entries after the last applied position. `B` is a batch of this node's own commits.
#[derive(Debug)]
pub(crate) struct ReorderBuffer<B> {
    epoch: Arc<str>,
    /// The position to apply next.
    next: LogPosition,
    /// The newest position known to exist.
    newest: LogPosition,
    /// Own commits, ascending. The appender hands over one at a time.
    batches: VecDeque<Batch<B>>,
    entries: BTreeMap<LogPosition, LogEntry>,
    /// The bytes of the bodies in `entries`.
    bytes: usize,
    hints: BTreeMap<LogPosition, RoomKey>,
    /// The backfill has read up to here: positions without an entry no longer exist.
    backfilled: LogPosition,
}

#[derive(Debug)]
struct Batch<B> {
    first: LogPosition,
    len: u64,
    value: B,
}

/// A room as the bus names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoomKey {
    pub(crate) id: RoomId,
    /// `None` for the control room, whose name is no valid room name.
    pub(crate) name: Option<RoomName>,
    /// Whether the entry changes unread counts.
    pub(crate) counts_changed: bool,
}

/// What to apply next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ready<B> {
    /// Own commits, whose new entries have the positions from `first` on. The positions before `next` are
    /// applied.
    Batch {
        first: LogPosition,
        next: LogPosition,
        batch: B,
    },
    /// An entry of another node, or one that was backfilled.
    Entry(LogEntry),
    /// An entry of a room that this node does not serve.
    NotServed { position: LogPosition, room: RoomKey },
    /// The positions up to this one have no entries any more.
    Absent { upto: LogPosition },
}

/// Positions to backfill: those after `after`, up to `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) after: LogPosition,
    pub(crate) upto: LogPosition,
}

impl<B> ReorderBuffer<B> {
    /// An empty buffer for a log that is applied up to `at`.
    pub(crate) fn starting(at: &LogHead) -> Self {
        Self {
            epoch: at.epoch.as_str().into(),
            next: at.position.next(),
            newest: at.position,
            batches: VecDeque::new(),
            entries: BTreeMap::new(),
            bytes: 0,
            hints: BTreeMap::new(),
            backfilled: at.position,
        }
    }

    /// The log was restored and continues at `at`. Drops everything and returns the batches, which are not
    /// applied.
    pub(crate) fn restore(&mut self, at: &LogHead) -> Vec<B> {
        let former = std::mem::replace(self, Self::starting(at));
        former.batches.into_iter().map(|batch| batch.value).collect()
    }

    /// Starts over after `applied`, so that all later entries are applied again. Returns the number of
    /// waiting batches.
    pub(crate) fn rewind(&mut self, applied: LogPosition) -> usize {
        self.next = applied.next();
        self.backfilled = applied;
        self.batches.len()
    }

    pub(crate) fn has_epoch(&self, epoch: &str) -> bool {
        *self.epoch == *epoch
    }

    /// Entries exist up to this position.
    pub(crate) fn observe_log_end(&mut self, position: LogPosition) {
        self.newest = self.newest.max(position);
    }

    /// Adds own commits with `len` new entries from position `first` on. Batches come in the order of their
    /// commits.
    pub(crate) fn push_batch(&mut self, first: LogPosition, len: u64, value: B) {
        self.observe_log_end(first.plus(len).previous());
        self.batches.push_back(Batch { first, len, value });
    }

    /// Adds the rooms of the positions from `first` on.
    pub(crate) fn push_hints(&mut self, first: LogPosition, rooms: impl IntoIterator<Item = RoomKey>) {
        for (position, room) in first.and_following().zip(rooms) {
            self.observe_log_end(position);
            if position >= self.next && self.hints.len() < MAX_ENTRIES {
                self.hints.insert(position, room);
            }
        }
    }

    /// Adds an entry of another node.
    pub(crate) fn push_entry(&mut self, entry: LogEntry) {
        self.observe_log_end(entry.position);
        let fits = self.entries.len() < MAX_ENTRIES && self.bytes + entry.entry.body.len() <= MAX_BYTES;
        if fits && entry.position >= self.next {
            self.insert(entry);
        }
    }

    /// No entry exists after `head`. Drops positions after it that the bus has announced.
    pub(crate) fn forget_after(&mut self, head: LogPosition) {
        let own = self.batches.back().map(|batch| batch.first.plus(batch.len));
        let end = own.unwrap_or_default().max(head.next()).max(self.next);
        self.newest = end.previous();
        drop(self.hints.split_off(&end));
        let wrong = self.entries.split_off(&end);
        self.bytes -= wrong.values().map(|entry| entry.entry.body.len()).sum::<usize>();
    }

    /// Adds the entries that the store has at the positions `missing`, a result of
    /// [`missing`](Self::missing).
    pub(crate) fn backfill(&mut self, missing: Missing, page: impl IntoIterator<Item = LogEntry>) {
        for entry in page {
            if entry.position >= self.next {
                self.insert(entry);
            }
        }
        self.observe_log_end(missing.upto);
        self.backfilled = self.backfilled.max(missing.upto);
    }

    /// Takes out the next position to apply; `None` if it is not there yet. `is_served` tells whether this
    /// node needs the entries of a room.
    pub(crate) fn pop(&mut self, is_served: impl Fn(RoomId) -> bool) -> Option<Ready<B>> {
        let position = self.next;
        if let Some(batch) = self.batches.pop_front_if(|batch| batch.first <= position) {
            self.advance(position.max(batch.first.plus(batch.len)));
            return Some(Ready::Batch {
                first: batch.first,
                next: position,
                batch: batch.value,
            });
        }
        if let Some(entry) = self.remove(position) {
            self.advance(position.next());
            return Some(Ready::Entry(entry));
        }
        if position <= self.backfilled {
            let upto = self
                .first_held()
                .map_or(self.backfilled, |held| held.previous().min(self.backfilled));
            self.advance(upto.next());
            return Some(Ready::Absent { upto });
        }
        // All nodes need the entries of the control room.
        let room = self.hints.get(&position)?;
        if room.name.is_none() || is_served(room.id) {
            return None;
        }
        let room = self.hints.remove(&position)?;
        self.advance(position.next());
        Some(Ready::NotServed { position, room })
    }

    /// The positions that [`pop`](Self::pop) waits for; `None` if everything known to exist is applied.
    pub(crate) fn missing(&self) -> Option<Missing> {
        let upto = self.first_held().map_or(self.newest, LogPosition::previous);
        (self.next <= upto).then_some(Missing {
            after: self.next.previous(),
            upto,
        })
    }

    /// The entries that wait, in position order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &LogEntry> {
        self.entries.values()
    }

    /// The first position that a batch or an entry is held for.
    fn first_held(&self) -> Option<LogPosition> {
        let batch = self.batches.front().map(|batch| batch.first);
        let entry = self.entries.first_key_value().map(|(position, _)| *position);
        batch.into_iter().chain(entry).min()
    }

    fn advance(&mut self, next: LogPosition) {
        self.next = next;
        self.observe_log_end(next.previous());
        while let Some(first) = self.entries.first_entry()
            && *first.key() < next
        {
            self.bytes -= first.remove().entry.body.len();
        }
        while let Some(first) = self.hints.first_entry()
            && *first.key() < next
        {
            first.remove();
        }
    }

    fn insert(&mut self, entry: LogEntry) {
        self.bytes += entry.entry.body.len();
        if let Some(known) = self.entries.insert(entry.position, entry) {
            self.bytes -= known.entry.body.len();
        }
    }

    fn remove(&mut self, position: LogPosition) -> Option<LogEntry> {
        let entry = self.entries.remove(&position)?;
        self.bytes -= entry.entry.body.len();
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
