//! Which rows a batch of appends touches: what a store has to load before it can plan the batch.

use super::dedup::{self, DedupKey};
use crate::{EntryKind, NewEntry, RoomId};

/// One user's reaction to a message: room, message, emoji and user.
pub(crate) type ReactionKey<'a> = (RoomId, u64, &'a str, &'a str);

/// A room and the author of messages in it.
pub(crate) type Author<'a> = (RoomId, &'a str);

/// The rows to load.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched<'a> {
    /// In ascending order, without repeats: a store that locks rooms locks them in this order.
    pub(crate) rooms: Vec<RoomId>,
    /// One key for each entry with a client id, in their order.
    pub(crate) dedup: Vec<DedupKey<'a>>,
    /// The authors of messages, by room.
    pub(crate) authors: Vec<Author<'a>>,
    /// Messages that edits, deletes and reactions name, by room and number.
    pub(crate) targets: Vec<(RoomId, u64)>,
    /// Of the targets, those that reactions name.
    pub(crate) reactions: Vec<ReactionKey<'a>>,
}

impl<'a> Touched<'a> {
    pub(crate) fn by(appends: &[&'a [NewEntry]]) -> Self {
        let mut touched = Self::default();
        for entry in appends.iter().copied().flatten() {
            touched.rooms.push(entry.room);
            touched.dedup.extend(dedup::key(entry));
            if entry.kind == EntryKind::Message {
                touched.authors.push((entry.room, &entry.user_id));
            }
            let Some(target) = entry.target.filter(|_| entry.kind.is_change()) else {
                continue;
            };
            touched.targets.push((entry.room, target));
            if matches!(entry.kind, EntryKind::Reaction { .. }) {
                touched
                    .reactions
                    .push((entry.room, target, &entry.body, &entry.user_id));
            }
        }
        sort(&mut touched.rooms);
        sort(&mut touched.authors);
        sort(&mut touched.targets);
        sort(&mut touched.reactions);
        touched
    }
}

fn sort<T: Ord>(rows: &mut Vec<T>) {
    rows.sort_unstable();
    rows.dedup();
}
