//! What becomes of the entries of a batch: numbers, duplicates, rejections, and the changes to the rows
//! that were loaded.
//!
//! A pure value: no I/O, no clock. Both stores load and write around it.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};

use super::{
    dedup::{self, DedupKey, DedupRecord, RecordedText},
    guards::Guards,
    room_bounds::{RoomBounds, Sweep},
    touched::Author,
    usage::Allowances,
};
use crate::{
    AppendResult, Appended, EntryKind, LogPosition, NewEntry, OutboxOptions, Rejected, Retention, RoomId,
    RoomRow,
    unread::{BLOCK_SIZES, block_end},
};

/// The limits that an append obeys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Entries that a room keeps, and the life of dedup records.
    pub(crate) retention: Retention,
    /// Different reactions that one message may have.
    pub(crate) reactions: u32,
    /// Edits that one message may have; 0 for any number.
    pub(crate) edits: u64,
}

/// A message that an entry of the batch names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// True for a message that is not deleted.
    pub(crate) live: bool,
    /// How often it was edited.
    pub(crate) edits: u64,
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
    /// [`PlannedEntry::own_messages`] of each author's newest stored message.
    pub(crate) authors: HashMap<Author<'a>, u64>,
    /// Has to hold every target that is touched, with the default for one that does not exist.
    pub(crate) targets: HashMap<(RoomId, u64), Target>,
    /// What each author may still append.
    pub(crate) allowances: Allowances<'a>,
    pub(crate) guards: Guards,
}

/// A new entry with its numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlannedEntry<'a> {
    pub(crate) entry: &'a NewEntry,
    pub(crate) seq: u64,
    pub(crate) position: LogPosition,
    /// The messages of its room up to and including this entry.
    pub(crate) messages: u64,
    /// Of a message: those of its author in the room, up to and including it. Counts at least from the oldest
    /// one that is stored, so the difference of two is the number of messages between.
    pub(crate) own_messages: Option<u64>,
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
    /// What the batch left of the authors' quotas.
    pub(crate) allowances: Allowances<'a>,
    dedup: HashMap<DedupKey<'a>, DedupRecord<'a>>,
    authors: HashMap<Author<'a>, u64>,
    targets: HashMap<(RoomId, u64), Target>,
    pub(crate) guards: Guards,
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
            authors,
            targets,
            allowances,
            guards,
        } = loaded;
        let mut plan = Self {
            results: Vec::with_capacity(appends.len()),
            new: Vec::with_capacity(appends.iter().map(|entries| entries.len()).sum()),
            position,
            rooms,
            allowances,
            dedup,
            authors,
            targets,
            guards,
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
    pub(crate) fn take_sweeps(&mut self) -> Vec<Sweep> {
        let retention = &self.limits.retention;
        let rooms = self.rooms.values_mut();
        rooms
            .filter_map(|room| room.sweep_after_append(retention))
            .collect()
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

    /// The mentions to insert, as room, message and user. Authors do not mention themselves, nor users who
    /// have blocked them.
    pub(crate) fn mentions(&self) -> impl Iterator<Item = (RoomId, u64, &'a str)> {
        let messages = self.new.iter().filter(|new| new.entry.kind == EntryKind::Message);
        messages.flat_map(|new| {
            let (entry, seq) = (new.entry, new.seq);
            let mentions = entry.mentions.iter().enumerate();
            let others = mentions.filter(|(at, user)| {
                let earlier = entry.mentions.iter().take(*at);
                **user != entry.user_id
                    && self.guards.mention_counts(user, &entry.user_id)
                    && !earlier.into_iter().any(|one| one == *user)
            });
            others.map(move |(_, user)| (entry.room, seq, &**user))
        })
    }

    /// How many of [`Self::mentions`] each block gets, as room, user, size and last number of the block.
    pub(crate) fn mentions_by_block(&self) -> BTreeMap<(RoomId, &'a str, u64, u64), u64> {
        let mut counts = BTreeMap::new();
        for (room, seq, user) in self.mentions() {
            for size in BLOCK_SIZES {
                *counts
                    .entry((room, user, size, block_end(seq, size)))
                    .or_default() += 1;
            }
        }
        counts
    }

    /// True if the batch writes to the outbox.
    pub(crate) fn records(&self, options: &OutboxOptions) -> bool {
        !options.sinks.is_empty() && self.new.iter().any(|new| new.entry.kind == EntryKind::Message)
    }

    /// How many entries were rejected for a quota: for the bytes of the day, and for the edits of a message.
    pub(crate) fn over_quota(&self) -> [u64; 2] {
        let results = || self.results.iter().flat_map(|result| &result.results);
        [Rejected::DailyBytes, Rejected::TooManyEdits]
            .map(|why| results().filter(|result| **result == Err(why)).count() as u64)
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
        if let Some(record) = earlier {
            let erased = record.erased_with().is_some_and(|message| {
                let message = (entry.room, message);
                let last_edit = self.rewritten.get(&message);
                self.deleted.contains(&message) || last_edit.is_some_and(|edit| *edit != record.seq)
            });
            if erased {
                record.text = RecordedText::Erased;
            }
            return record.compare(entry);
        }
        self.guards.check(entry)?;
        if entry.kind.is_change() {
            match self.check(entry, first) {
                Check::Passes => {}
                Check::Unchanged => return Ok(Appended::Unchanged),
                Check::Rejected(why) => return Err(why),
            }
        }
        if !self.allowances.charge(entry) {
            return Err(Rejected::DailyBytes);
        }
        let (messages, own_messages) = self.take_numbers(entry);
        self.update_targets(entry, seq);
        self.guards.note(entry);
        if let Some(key) = key {
            self.dedup.insert(key, DedupRecord::of(entry, seq));
        }
        self.new.push(PlannedEntry {
            entry,
            seq,
            position: self.position,
            messages,
            own_messages,
        });
        Ok(Appended::New { seq, at: entry.at })
    }

    /// Advances the numbers of the log, the room and the author. Answers those of [`PlannedEntry`].
    fn take_numbers(&mut self, entry: &'a NewEntry) -> (u64, Option<u64>) {
        self.position = self.position.next();
        let is_message = entry.kind == EntryKind::Message;
        let mut messages = 0;
        if let Some(room) = self.rooms.get_mut(&entry.room) {
            room.append(entry.at, self.limits.retention.max_entries);
            if is_message {
                room.note_message(self.position);
            }
            room.deletions += u64::from(entry.kind == EntryKind::Delete);
            messages = room.messages;
        }
        let own_messages = is_message.then(|| {
            let own = self.authors.entry((entry.room, &entry.user_id)).or_default();
            *own += 1;
            *own
        });
        (messages, own_messages)
    }

    /// Whether an entry that changes a message may be appended.
    fn check(&self, entry: &NewEntry, first: u64) -> Check {
        let target = entry.target.filter(|target| *target >= first);
        let target = target.and_then(|target| self.targets.get(&(entry.room, target)));
        let Some(target) = target.filter(|target| target.live) else {
            return Check::Rejected(Rejected::NoSuchMessage);
        };
        let EntryKind::Reaction { removed } = entry.kind else {
            let is_edit = entry.kind == EntryKind::Edit;
            if is_edit && self.limits.edits > 0 && target.edits >= self.limits.edits {
                return Check::Rejected(Rejected::TooManyEdits);
            }
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
    fn update_targets(&mut self, entry: &NewEntry, seq: u64) {
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
            EntryKind::Edit => {
                target.edits += 1;
                if entry.replacement.is_some() {
                    self.rewritten.insert((entry.room, number), seq);
                }
            }
            EntryKind::Control => {}
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
