//! What becomes of a flight's entries: numbers, retries, refusals. Nothing here waits, so nothing waits here.

use std::{collections::HashMap, ops::Range};

use super::load::{Key, Loaded, Target};
use crate::{
    AppendResult, Appended, EntryKind, LogPosition, NewEntry, OutboxOptions, Rejected, RoomId, RoomRow,
    dedup_record::DedupRecord, tail::Tail,
};

#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Entries that a room keeps.
    pub(super) max_entries: u64,
    /// Different reactions that one message may have.
    pub(super) reactions: u32,
}

/// A new entry with its numbers.
pub(super) struct New<'a> {
    pub(super) entry: &'a NewEntry,
    pub(super) seq: u64,
    pub(super) pos: u64,
    /// An entry that is to be removed first: it has the same client id and is no longer kept.
    replaces: Option<u64>,
    /// No longer kept already, and its client id was given to another entry of the same flight.
    pub(super) gone: bool,
}

/// What a flight writes, and what it is answered.
pub(super) struct Plan<'a> {
    pub(super) placed: Vec<AppendResult>,
    pub(super) new: Vec<New<'a>>,
    rooms: HashMap<RoomId, Tail>,
    /// Rows to sweep.
    pub(super) sweeps: Vec<(RoomId, Range<u64>)>,
    known: HashMap<Key<'a>, DedupRecord>,
    targets: HashMap<(RoomId, u64), Target>,
    pos: u64,
    limits: Limits,
}

impl<'a> Plan<'a> {
    pub(super) fn of(appends: &[&'a [NewEntry]], loaded: Loaded<'a>, limits: Limits) -> Self {
        let Loaded {
            pos,
            rooms,
            known,
            targets,
        } = loaded;
        let mut plan = Self {
            placed: Vec::with_capacity(appends.len()),
            new: Vec::new(),
            rooms,
            sweeps: Vec::new(),
            known,
            targets,
            pos,
            limits,
        };
        for entries in appends {
            let pos = plan.pos + 1;
            let results = entries.iter().map(|entry| plan.append(entry)).collect();
            plan.placed.push(AppendResult {
                results,
                first_position: LogPosition(pos),
            });
        }
        for (room, tail) in &mut plan.rooms {
            let span = tail.sweep_along();
            if !span.is_empty() {
                plan.sweeps.push((*room, span));
            }
        }
        plan
    }

    /// The newest position, if there is a new entry.
    pub(super) fn moved_to(&self) -> Option<u64> {
        (!self.new.is_empty()).then_some(self.pos)
    }

    /// The rooms that changed, by id.
    pub(super) fn changed(&self) -> Vec<&Tail> {
        let mut changed: Vec<_> = self.rooms.values().filter(|tail| tail.changed).collect();
        changed.sort_unstable_by_key(|tail| tail.row.id);
        changed
    }

    pub(super) fn room(&self, id: RoomId) -> Option<&RoomRow> {
        self.rooms.get(&id).map(|tail| &tail.row)
    }

    /// Entries that make way for others with their client ids.
    pub(super) fn replaced(&self) -> impl Iterator<Item = (RoomId, u64)> {
        self.new
            .iter()
            .filter_map(|new| Some((new.entry.room, new.replaces?)))
    }

    /// Whether something is written to the outbox.
    pub(super) fn records(&self, options: &OutboxOptions) -> bool {
        !options.sinks.is_empty() && self.new.iter().any(|new| new.entry.kind == EntryKind::Message)
    }

    fn append(&mut self, entry: &'a NewEntry) -> Result<Appended, Rejected> {
        let Some(room) = self.rooms.get(&entry.room) else {
            return Err(Rejected::NoSuchRoom);
        };
        let (first, seq) = (room.row.first, room.next());
        let key = entry
            .client_id
            .as_deref()
            .map(|id| (entry.room, &*entry.user_id, id));
        // A retry is recognised first: what it once did may be why it could not be done now.
        let earlier = key.and_then(|key| self.known.get(&key));
        if let Some(known) = earlier.filter(|known| known.seq >= first) {
            return self.is_wiped(entry.room, known).compare(entry);
        }
        // It is no longer kept, only not swept yet: this is a new entry, as it would be after the sweep.
        let replaces = earlier.map(|known| known.seq);
        if entry.kind.is_change() {
            match self.check(entry, first) {
                Check::Passes => {}
                Check::Unchanged => return Ok(Appended::Unchanged),
                Check::Rejected(why) => return Err(why),
            }
        }
        self.pos += 1;
        if let Some(room) = self.rooms.get_mut(&entry.room) {
            room.append(self.limits.max_entries);
            if entry.kind == EntryKind::Message {
                room.said(entry.at);
            }
        }
        self.take_effect(entry, seq);
        if let Some(key) = key {
            self.known.insert(key, known(entry, seq));
        }
        // One of this very flight is not in the database yet.
        let own = self
            .new
            .iter_mut()
            .rev()
            .find(|new| new.entry.room == entry.room && Some(new.seq) == replaces);
        let replaces = match own {
            Some(own) => {
                own.gone = true;
                None
            }
            None => replaces,
        };
        self.new.push(New {
            entry,
            seq,
            pos: self.pos,
            replaces,
            gone: false,
        });
        Ok(Appended::New { seq, at: entry.at })
    }

    /// What is known of an entry, after a deletion by this flight, too.
    fn is_wiped(&self, room: RoomId, known: &DedupRecord) -> DedupRecord {
        let place = (room, known.target.unwrap_or(known.seq));
        let deleted = matches!(known.kind, EntryKind::Message | EntryKind::Edit)
            && self.targets.get(&place).is_some_and(|target| !target.live);
        DedupRecord {
            body: known.body.clone(),
            wiped: known.wiped || deleted,
            ..*known
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
        if target
            .reacted
            .contains(&(entry.body.clone(), entry.user_id.clone()))
            != removed
        {
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

    /// What later entries of the flight find.
    fn take_effect(&mut self, entry: &NewEntry, seq: u64) {
        if entry.kind == EntryKind::Message {
            let live = Target {
                live: true,
                ..Target::default()
            };
            self.targets.insert((entry.room, seq), live);
            return;
        }
        let target = entry
            .target
            .and_then(|target| self.targets.get_mut(&(entry.room, target)));
        let Some(target) = target else { return };
        let reaction = || (entry.body.clone(), entry.user_id.clone());
        match entry.kind {
            EntryKind::Message | EntryKind::Control | EntryKind::Edit => {}
            EntryKind::Delete => *target = Target::default(),
            EntryKind::Reaction { removed: false } => {
                target.reacted.insert(reaction());
                *target.counts.entry(entry.body.clone()).or_default() += 1;
            }
            EntryKind::Reaction { removed: true } => {
                target.reacted.remove(&reaction());
                let left = target.counts.get_mut(&entry.body).map(|users| {
                    *users = users.saturating_sub(1);
                    *users
                });
                if left == Some(0) {
                    target.counts.remove(&entry.body);
                }
            }
        }
    }
}

/// Whether a change may be made.
enum Check {
    Passes,
    /// A reaction that is there already, or one to be taken back that is not.
    Unchanged,
    Rejected(Rejected),
}

fn known(entry: &NewEntry, seq: u64) -> DedupRecord {
    DedupRecord {
        seq,
        at: entry.at,
        kind: entry.kind,
        target: entry.target,
        body: entry.body.clone(),
        wiped: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RoomKind, RoomRow};

    const ROOM: RoomId = 7;

    fn loaded<'a>(head: u64) -> Loaded<'a> {
        let row = RoomRow {
            id: ROOM,
            name: "a".into(),
            epoch: "e".into(),
            head,
            first: 1,
            created_at: 0,
            kind: RoomKind::Public,
            history: None,
        };
        let tail = Tail {
            row,
            swept: 1,
            last_message: head,
            active_at: 0,
            appended: 0,
            changed: false,
        };
        Loaded {
            pos: 100,
            rooms: HashMap::from([(ROOM, tail)]),
            known: HashMap::new(),
            targets: HashMap::new(),
        }
    }

    fn message(client_id: Option<&str>) -> NewEntry {
        NewEntry {
            room: ROOM,
            kind: EntryKind::Message,
            target: None,
            user_id: "ann".into(),
            user_name: None,
            client_id: client_id.map(Into::into),
            body: "1".into(),
            mentions: Vec::new(),
            at: 5,
        }
    }

    fn change(kind: EntryKind, target: u64) -> NewEntry {
        NewEntry {
            kind,
            target: Some(target),
            body: "+".into(),
            ..message(None)
        }
    }

    fn keeping(max_entries: u64) -> Limits {
        Limits {
            max_entries,
            reactions: 1,
        }
    }

    fn new(seq: u64) -> Appended {
        Appended::New { seq, at: 5 }
    }

    #[test]
    fn a_flight_finds_what_it_has_done_itself() {
        let react = change(EntryKind::Reaction { removed: false }, 11);
        let first = [message(Some("k")), message(Some("k")), react.clone(), react];
        let second = [
            change(EntryKind::Delete, 11),
            change(EntryKind::Edit, 11),
            message(Some("k")),
            message(None),
        ];
        let plan = Plan::of(&[&first, &second], loaded(10), keeping(100));
        let again = Ok(Appended::Duplicate { seq: 11, at: 5 });
        assert_eq!(
            plan.placed[0].results,
            [Ok(new(11)), again, Ok(new(12)), Ok(Appended::Unchanged)]
        );
        assert_eq!(
            plan.placed[1].results,
            [Ok(new(13)), Err(Rejected::NoSuchMessage), again, Ok(new(14))]
        );
        assert_eq!(
            (
                plan.placed[0].first_position.0,
                plan.placed[1].first_position.0,
                plan.moved_to()
            ),
            (101, 103, Some(104))
        );
        let places: Vec<_> = plan.new.iter().map(|new| (new.seq, new.pos)).collect();
        assert_eq!(places, [(11, 101), (12, 102), (13, 103), (14, 104)]);
    }

    #[test]
    fn a_client_id_is_free_when_its_entry_went_within_the_flight() {
        let entries = [
            message(Some("k")),
            message(None),
            message(None),
            message(Some("k")),
        ];
        let plan = Plan::of(&[&entries], loaded(10), keeping(2));
        assert_eq!(
            plan.placed[0].results,
            [Ok(new(11)), Ok(new(12)), Ok(new(13)), Ok(new(14))]
        );
        let gone: Vec<_> = plan.new.iter().map(|new| new.gone).collect();
        assert_eq!(gone, [true, false, false, false], "one row under the client id");
        assert_eq!(plan.replaced().count(), 0);
    }

    #[test]
    fn nothing_is_written_for_what_was_there() {
        let entries = [message(Some("k"))];
        let mut before = loaded(10);
        let known = DedupRecord {
            seq: 4,
            at: 5,
            kind: EntryKind::Message,
            target: None,
            body: "2".into(),
            wiped: false,
        };
        before.known.insert((ROOM, "ann", "k"), known);
        let plan = Plan::of(&[&entries], before, keeping(100));
        assert_eq!(plan.placed[0].results, [Err(Rejected::Conflict { seq: 4 })]);
        assert!(plan.moved_to().is_none() && plan.changed().is_empty() && plan.sweeps.is_empty());
    }
}
