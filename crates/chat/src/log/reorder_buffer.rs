//! What other nodes have told of the log beyond what was delivered here, as a value: no bus, no store, no clock.
//!
//! Each commit is told in two parts: to everybody, which places it took and which rooms they are of; and to the nodes that
//! serve such a room, what stands there. Both can be lost, doubled, or come in any order. What is missing is read from the
//! store; so whatever does not fit in here is dropped.

use std::collections::BTreeMap;

use roomful_store::{LogEntry, LogPosition, RoomId};

use crate::types::RoomName;

/// Places and entries that may wait. What is beyond is read from the store when its turn comes.
const MOST: usize = 16_384;
/// Bytes of bodies that may wait.
const MOST_BYTES: usize = 16 << 20;

/// The places ahead.
#[derive(Debug, Default)]
pub(crate) struct ReorderBuffer {
    /// Which room each place belongs to.
    places: BTreeMap<LogPosition, RoomKey>,
    entries: BTreeMap<LogPosition, LogEntry>,
    bytes: usize,
    /// The newest place heard of.
    newest: LogPosition,
}

/// A room as other nodes name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoomKey {
    pub(crate) id: RoomId,
    /// `None` for the cluster's own room.
    pub(crate) name: Option<RoomName>,
}

/// What is at the next place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// An entry to be delivered.
    Entry(LogEntry),
    /// An entry of a room that nobody here is in.
    NotServed(RoomKey),
    /// Nothing was told of it, or not all.
    Unknown,
}

impl ReorderBuffer {
    /// The newest place heard of.
    pub(crate) fn newest(&self) -> LogPosition {
        self.newest
    }

    /// There are entries up to this place.
    pub(crate) fn heard_of(&mut self, position: LogPosition) {
        self.newest = self.newest.max(position);
    }

    /// From `first` on, the places are of these rooms.
    pub(crate) fn add_places(&mut self, first: LogPosition, rooms: impl IntoIterator<Item = RoomKey>) {
        for (position, room) in first.and_following().zip(rooms) {
            self.heard_of(position);
            if self.places.len() < MOST {
                self.places.insert(position, room);
            }
        }
    }

    /// What stands at a place.
    pub(crate) fn add_entry(&mut self, entry: LogEntry) {
        self.heard_of(entry.position);
        let weight = entry.entry.body.len();
        if self.entries.len() >= MOST || self.bytes + weight > MOST_BYTES {
            return;
        }
        self.bytes += weight;
        if let Some(known) = self.entries.insert(entry.position, entry) {
            self.bytes -= known.entry.body.len();
        }
    }

    /// What is at `position`, which is taken out if it is known; `serves` says of which rooms entries are wanted.
    pub(crate) fn take(&mut self, position: LogPosition, serves: impl Fn(RoomId) -> bool) -> Next {
        self.forget_below(position);
        if let Some(entry) = self.take_entry(position) {
            self.places.remove(&position);
            return Next::Entry(entry);
        }
        match self.places.get(&position) {
            // What stands in the cluster's own room is for all.
            Some(room) if room.name.is_some() && !serves(room.id) => self
                .places
                .remove(&position)
                .map_or(Next::Unknown, Next::NotServed),
            _ => Next::Unknown,
        }
    }

    /// The order began anew.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn take_entry(&mut self, position: LogPosition) -> Option<LogEntry> {
        let entry = self.entries.remove(&position)?;
        self.bytes -= entry.entry.body.len();
        Some(entry)
    }

    fn forget_below(&mut self, position: LogPosition) {
        while let Some((first, _)) = self.places.first_key_value()
            && *first < position
        {
            self.places.pop_first();
        }
        while let Some((first, _)) = self.entries.first_key_value()
            && *first < position
        {
            let first = *first;
            self.take_entry(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use roomful_store::{Entry, EntryKind, MessageState};

    fn key(id: RoomId) -> RoomKey {
        RoomKey {
            id,
            name: RoomName::new(&format!("room-{id}")).ok(),
        }
    }

    fn entry(pos: u64, room: RoomId) -> LogEntry {
        LogEntry {
            position: LogPosition(pos),
            room,
            entry: Entry {
                seq: pos,
                kind: EntryKind::Message,
                target: None,
                user_id: "alice".into(),
                user_name: None,
                client_id: None,
                body: "12345".into(),
                at: 1,
                state: MessageState::default(),
            },
        }
    }

    #[test]
    fn a_place_is_known_when_its_room_is_elsewhere_or_its_entry_is_here() {
        let mut reorder_buffer = ReorderBuffer::default();
        reorder_buffer.add_places(LogPosition(5), [key(1), key(2)]);
        let serves = |room| room == 1;
        assert_eq!(
            reorder_buffer.take(LogPosition(5), serves),
            Next::Unknown,
            "its entry is still to come"
        );
        reorder_buffer.add_entry(entry(5, 1));
        assert_eq!(
            reorder_buffer.take(LogPosition(5), serves),
            Next::Entry(entry(5, 1))
        );
        assert_eq!(
            reorder_buffer.take(LogPosition(6), serves),
            Next::NotServed(key(2))
        );
        assert_eq!(reorder_buffer.take(LogPosition(7), serves), Next::Unknown);
        assert_eq!((reorder_buffer.newest().0, reorder_buffer.bytes), (6, 0));
    }

    #[test]
    fn what_is_too_much_is_dropped_and_still_heard_of() {
        let mut reorder_buffer = ReorderBuffer::default();
        let most = MOST as u64;
        reorder_buffer.add_places(LogPosition(1), (0..=most).map(|_| key(1)));
        assert_eq!(
            (reorder_buffer.places.len(), reorder_buffer.newest().0),
            (MOST, most + 1)
        );
        (1..=most + 5).for_each(|pos| reorder_buffer.add_entry(entry(pos, 1)));
        assert_eq!(
            (reorder_buffer.entries.len(), reorder_buffer.newest().0),
            (MOST, most + 5)
        );
    }

    proptest! {
        // Whatever is lost, doubled or comes late: what is taken is what stands there, and the count of bytes is true.
        #[test]
        fn only_what_was_told_is_taken(told in prop::collection::vec((1u64..40, prop::bool::ANY), 0..120)) {
            let room = |pos: u64| i64::try_from(pos % 3).unwrap();
            let mut reorder_buffer = ReorderBuffer::default();
            let mut next = 1;
            for (pos, whole) in told {
                reorder_buffer.add_places(LogPosition(pos), [key(room(pos))]);
                if whole {
                    reorder_buffer.add_entry(entry(pos, room(pos)));
                }
                loop {
                    match reorder_buffer.take(LogPosition(next), |room| room != 0) {
                        Next::Entry(taken) => prop_assert_eq!(taken, entry(next, room(next))),
                        Next::NotServed(taken) => {
                            prop_assert_eq!(taken.id, room(next));
                            prop_assert_eq!(taken.id, 0);
                        }
                        Next::Unknown => break,
                    }
                    next += 1;
                }
                prop_assert_eq!(reorder_buffer.bytes, reorder_buffer.entries.len() * 5);
                prop_assert!(reorder_buffer.entries.keys().chain(reorder_buffer.places.keys()).all(|pos| pos.0 >= next));
            }
        }
    }
}
