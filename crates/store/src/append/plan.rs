//! What becomes of the entries of a batch: numbers, duplicates, rejections, and the changes to the rows
//! that were loaded.
//!
//! A pure value: no I/O, no clock. Both stores load and write around it.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::{
    dedup::{self, DedupKey, DedupRecord},
    room_bounds::RoomBounds,
};
use crate::{
    AppendResult, Appended, EntryKind, LogPosition, NewEntry, OutboxOptions, Rejected, RoomId, RoomRow,
};

/// The limits that an append obeys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Entries that a room keeps.
    pub(crate) max_entries: u64,
    /// Different reactions that one message may have.
    pub(crate) reactions: u32,
}

/// A message that an entry of the batch names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// True for a message that is not deleted.
    pub(crate) live: bool,
    /// The reactions by authors of this batch that are stored, as emoji and user.
    pub(crate) reacted: HashSet<(String, String)>,
    /// How many users reacted with each emoji.
    pub(crate) counts: HashMap<String, u64>,
}

/// The rows that [`Touched`](super::Touched) names, as the database has them. Rows that do not exist are
/// left out.
#[derive(Debug, Default)]
pub(crate) struct Loaded<'a> {
    /// The newest position.
    pub(crate) position: LogPosition,
    pub(crate) rooms: HashMap<RoomId, RoomBounds>,
    pub(crate) dedup: HashMap<DedupKey<'a>, DedupRecord<'a>>,
    /// Has to hold every target that is touched, with the default for one that does not exist.
    pub(crate) targets: HashMap<(RoomId, u64), Target>,
}

/// A new entry with its numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlannedEntry<'a> {
    pub(crate) entry: &'a NewEntry,
    pub(crate) seq: u64,
    pub(crate) position: LogPosition,
    /// An entry that the store must delete first: it has the same client id, is no longer kept, and was not
    /// swept yet.
    pub(crate) replaces: Option<u64>,
    /// True if the entry is no longer kept and another one of this batch took its client id: it is not
    /// stored.
    pub(crate) superseded: bool,
}

/// What a batch writes, and what its callers are answered.
pub(crate) struct Plan<'a> {
    /// One result for each append, in their order.
    pub(crate) results: Vec<AppendResult>,
    /// The new entries, in the order of their positions.
    pub(crate) new: Vec<PlannedEntry<'a>>,
    /// The newest position.
    pub(crate) position: LogPosition,
    pub(crate) rooms: HashMap<RoomId, RoomBounds>,
    dedup: HashMap<DedupKey<'a>, DedupRecord<'a>>,
    targets: HashMap<(RoomId, u64), Target>,
    /// The messages that this batch deletes.
    deleted: HashSet<(RoomId, u64)>,
    /// The messages whose earlier texts this batch erases, each with its last edit.
    rewritten: HashMap<(RoomId, u64), u64>,
    limits: Limits,
}

impl<'a> Plan<'a> {
    pub(crate) fn of(appends: &[&'a [NewEntry]], loaded: Loaded<'a>, limits: Limits) -> Self {
        let Loaded {
            position,
            rooms,
            dedup,
            targets,
        } = loaded;
        let mut plan = Self {
            results: Vec::with_capacity(appends.len()),
            new: Vec::with_capacity(appends.iter().map(|entries| entries.len()).sum()),
            position,
            rooms,
            dedup,
            targets,
            deleted: HashSet::new(),
            rewritten: HashMap::new(),
            limits,
        };
        for entries in appends {
            let first_position = plan.position.next();
            let results = entries.iter().map(|entry| plan.append(entry)).collect();
            plan.results.push(AppendResult {
                results,
                first_position,
            });
        }
        plan
    }

    /// Takes the rows out that the store must sweep along with this batch.
    pub(crate) fn take_sweeps(&mut self) -> Vec<(RoomId, Range<u64>)> {
        let spans = self
            .rooms
            .iter_mut()
            .map(|(room, bounds)| (*room, bounds.sweep_after_append()));
        spans.filter(|(_, span)| !span.is_empty()).collect()
    }

    /// The rooms that changed, by id.
    pub(crate) fn changed(&self) -> Vec<&RoomBounds> {
        let mut changed: Vec<_> = self.rooms.values().filter(|room| room.changed).collect();
        changed.sort_unstable_by_key(|room| room.row.id);
        changed
    }

    pub(crate) fn room(&self, id: RoomId) -> Option<&RoomRow> {
        self.rooms.get(&id).map(|room| &room.row)
    }

    /// The new entries that the store inserts.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &PlannedEntry<'a>> {
        self.new.iter().filter(|new| !new.superseded)
    }

    /// The entries that make way for others with their client ids.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = (RoomId, u64)> {
        self.new
            .iter()
            .filter_map(|new| Some((new.entry.room, new.replaces?)))
    }

    /// The mentions to insert, as room, message and user. Authors do not mention themselves.
    pub(crate) fn mentions(&self) -> impl Iterator<Item = (RoomId, u64, &'a str)> {
        let messages = self.stored().filter(|new| new.entry.kind == EntryKind::Message);
        messages.flat_map(|new| {
            let (entry, seq) = (new.entry, new.seq);
            let others = entry.mentions.iter().filter(|user| **user != entry.user_id);
            others.map(move |user| (entry.room, seq, &**user))
        })
    }

    /// True if the batch writes to the outbox.
    pub(crate) fn records(&self, options: &OutboxOptions) -> bool {
        !options.sinks.is_empty() && self.new.iter().any(|new| new.entry.kind == EntryKind::Message)
    }

    fn append(&mut self, entry: &'a NewEntry) -> Result<Appended, Rejected> {
        let Some(room) = self.rooms.get(&entry.room) else {
            return Err(Rejected::NoSuchRoom);
        };
        let (first, seq) = (room.row.first, room.next_seq());
        let key = dedup::key(entry);
        // Retries are recognised before anything else: what the entry did the first time may be why it
        // fails now.
        let earlier = key.and_then(|key| self.dedup.get_mut(&key));
        let mut replaces = None;
        if let Some(record) = earlier {
            if record.seq >= first {
                let erased = record.erased_with();
                record.erased |= erased.is_some_and(|message| {
                    let message = (entry.room, message);
                    let last_edit = self.rewritten.get(&message);
                    self.deleted.contains(&message) || last_edit.is_some_and(|edit| *edit != record.seq)
                });
                return record.compare(entry);
            }
            // The earlier entry is no longer kept, only not swept yet: this one is new, as it would be
            // after the sweep.
            replaces = Some(record.seq);
        }
        if entry.kind.is_change() {
            match self.check(entry, first) {
                Check::Passes => {}
                Check::Unchanged => return Ok(Appended::Unchanged),
                Check::Rejected(why) => return Err(why),
            }
        }
        self.take_numbers(entry);
        self.take_effect(entry, seq);
        if let Some(key) = key {
            self.dedup.insert(key, DedupRecord::of(entry, seq));
        }
        let replaces = replaces.filter(|replaced| !self.supersede(entry.room, *replaced));
        self.new.push(PlannedEntry {
            entry,
            seq,
            position: self.position,
            replaces,
            superseded: false,
        });
        Ok(Appended::New { seq, at: entry.at })
    }

    fn take_numbers(&mut self, entry: &NewEntry) {
        self.position = self.position.next();
        if let Some(room) = self.rooms.get_mut(&entry.room) {
            room.append(self.limits.max_entries);
            if entry.kind == EntryKind::Message {
                room.note_message(self.position);
            }
        }
    }

    /// Marks an entry of this batch as superseded. False if `seq` is no entry of this batch.
    fn supersede(&mut self, room: RoomId, seq: u64) -> bool {
        let of_batch = |new: &&mut PlannedEntry<'_>| new.entry.room == room && new.seq == seq;
        match self.new.iter_mut().rev().find(of_batch) {
            Some(new) => {
                new.superseded = true;
                true
            }
            None => false,
        }
    }

    /// Whether an entry that changes a message may be appended.
    fn check(&self, entry: &NewEntry, first: u64) -> Check {
        let target = entry.target.filter(|target| *target >= first);
        let target = target.and_then(|target| self.targets.get(&(entry.room, target)));
        let Some(target) = target.filter(|target| target.live) else {
            return Check::Rejected(Rejected::NoSuchMessage);
        };
        let EntryKind::Reaction { removed } = entry.kind else {
            return Check::Passes;
        };
        let reaction = (entry.body.clone(), entry.user_id.clone());
        if target.reacted.contains(&reaction) != removed {
            return Check::Unchanged;
        }
        let different = target.counts.len() as u64;
        if !removed
            && different >= u64::from(self.limits.reactions)
            && !target.counts.contains_key(&entry.body)
        {
            return Check::Rejected(Rejected::TooManyReactions);
        }
        Check::Passes
    }

    /// Changes the targets as later entries of the batch must find them.
    fn take_effect(&mut self, entry: &NewEntry, seq: u64) {
        let number = if entry.kind == EntryKind::Message {
            seq
        } else if let Some(target) = entry.target {
            target
        } else {
            return;
        };
        let Some(target) = self.targets.get_mut(&(entry.room, number)) else {
            return;
        };
        match entry.kind {
            EntryKind::Message => target.live = true,
            EntryKind::Edit if entry.replacement.is_some() => {
                self.rewritten.insert((entry.room, number), seq);
            }
            EntryKind::Edit | EntryKind::Control => {}
            EntryKind::Delete => {
                *target = Target::default();
                self.deleted.insert((entry.room, number));
            }
            EntryKind::Reaction { removed } => target.count(entry, removed),
        }
    }
}

impl Target {
    fn count(&mut self, reaction: &NewEntry, removed: bool) {
        let (emoji, user) = (&reaction.body, &reaction.user_id);
        if !removed {
            self.reacted.insert((emoji.clone(), user.clone()));
            *self.counts.entry(emoji.clone()).or_default() += 1;
            return;
        }
        self.reacted.remove(&(emoji.clone(), user.clone()));
        if let Some(users) = self.counts.get_mut(emoji) {
            *users = users.saturating_sub(1);
            if *users == 0 {
                self.counts.remove(emoji);
            }
        }
    }
}

/// Whether a change may be made.
enum Check {
    Passes,
    /// The reaction to add is there already, or the one to take back is not.
    Unchanged,
    Rejected(Rejected),
}
