use std::ops::Range;

use proptest::{prelude::*, sample::Index};
use roomful_store::{Entry, EntryKind, MessageState};

use super::*;

type Buffer = ReorderBuffer<Range<u64>>;

const OWN: RoomId = 1;
const SERVED: RoomId = 2;
const NOT_SERVED: RoomId = 3;

fn at(epoch: &str, position: u64) -> LogHead {
    LogHead {
        epoch: epoch.into(),
        position: LogPosition(position),
    }
}

fn missing(after: u64, upto: u64) -> Missing {
    Missing {
        after: LogPosition(after),
        upto: LogPosition(upto),
    }
}

fn key(id: RoomId) -> RoomKey {
    RoomKey {
        id,
        name: RoomName::new(&format!("room-{id}")).ok(),
        counts_changed: true,
    }
}

fn entry(position: u64, room: RoomId) -> LogEntry {
    LogEntry {
        position: LogPosition(position),
        room,
        entry: Entry {
            seq: position,
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

fn is_served(room: RoomId) -> bool {
    room != NOT_SERVED
}

#[test]
fn positions_beyond_the_head_of_the_log_are_forgotten_and_may_come_later() {
    let mut buffer = Buffer::starting(&at("a", 4));
    buffer.push_hints(LogPosition(u64::MAX), [key(NOT_SERVED), key(SERVED)]);
    buffer.push_entry(entry(900, SERVED));
    buffer.push_entry(entry(5, SERVED));
    assert_eq!(buffer.pop(is_served), Some(Ready::Entry(entry(5, SERVED))));
    assert_eq!(buffer.missing(), Some(missing(5, 899)));
    buffer.forget_after(LogPosition(5));
    assert_eq!((buffer.missing(), buffer.bytes), (None, 0));
    buffer.push_entry(entry(6, SERVED));
    assert_eq!(buffer.pop(is_served), Some(Ready::Entry(entry(6, SERVED))));
}

#[test]
fn own_commits_are_not_forgotten() {
    let mut buffer = Buffer::starting(&at("a", 4));
    buffer.push_batch(LogPosition(5), 2, 5..7);
    buffer.forget_after(LogPosition(4));
    assert!(matches!(buffer.pop(is_served), Some(Ready::Batch { .. })));
    assert_eq!(buffer.missing(), None);
}

#[test]
fn a_position_is_ready_with_its_entry_or_with_a_hint_that_nobody_here_needs_it() {
    let mut buffer = Buffer::starting(&at("a", 4));
    buffer.push_hints(LogPosition(5), [key(SERVED), key(NOT_SERVED)]);
    assert_eq!(buffer.pop(is_served), None, "the entry is missing");
    assert_eq!(buffer.missing(), Some(missing(4, 6)));
    buffer.push_entry(entry(5, SERVED));
    assert_eq!(buffer.pop(is_served), Some(Ready::Entry(entry(5, SERVED))));
    let not_served = Ready::NotServed {
        position: LogPosition(6),
        room: key(NOT_SERVED),
    };
    assert_eq!(buffer.pop(is_served), Some(not_served));
    assert_eq!((buffer.pop(is_served), buffer.missing()), (None, None));
    assert_eq!(buffer.bytes, 0);
}

#[test]
fn every_node_needs_the_entries_of_the_control_room() {
    let mut buffer = Buffer::starting(&at("a", 0));
    let control = RoomKey {
        id: NOT_SERVED,
        name: None,
        counts_changed: false,
    };
    buffer.push_hints(LogPosition(1), [control]);
    assert_eq!(buffer.pop(is_served), None);
    assert_eq!(buffer.missing(), Some(missing(0, 1)));
}

#[test]
fn a_batch_waits_for_the_positions_before_it_and_skips_those_that_are_applied() {
    let mut buffer = Buffer::starting(&at("a", 0));
    buffer.push_batch(LogPosition(3), 2, 3..5);
    assert_eq!(buffer.pop(is_served), None);
    assert_eq!(buffer.missing(), Some(missing(0, 2)));
    buffer.backfill(missing(0, 3), [entry(1, SERVED), entry(3, OWN)]);
    assert_eq!(buffer.pop(is_served), Some(Ready::Entry(entry(1, SERVED))));
    assert_eq!(
        buffer.pop(is_served),
        Some(Ready::Absent { upto: LogPosition(2) })
    );
    let batch = Ready::Batch {
        first: LogPosition(3),
        next: LogPosition(3),
        batch: 3..5,
    };
    assert_eq!(buffer.pop(is_served), Some(batch));
    assert_eq!(buffer.bytes, 0, "the batch has made the backfilled entry useless");
    buffer.push_batch(LogPosition(4), 2, 4..6);
    let overlapping = Ready::Batch {
        first: LogPosition(4),
        next: LogPosition(5),
        batch: 4..6,
    };
    assert_eq!(buffer.pop(is_served), Some(overlapping));
    assert_eq!(buffer.missing(), None);
}

#[test]
fn a_batch_without_new_entries_waits_for_everything_before_it() {
    let mut buffer = Buffer::starting(&at("a", 4));
    buffer.push_batch(LogPosition(7), 0, 7..7);
    assert_eq!(buffer.pop(is_served), None);
    assert_eq!(buffer.missing(), Some(missing(4, 6)));
}

#[test]
fn what_exceeds_the_bounds_is_dropped_and_still_known_to_exist() {
    let mut buffer = Buffer::starting(&at("a", 0));
    let most = MAX_ENTRIES as u64;
    buffer.push_hints(LogPosition(1), (0..=most).map(|_| key(SERVED)));
    assert_eq!((buffer.hints.len(), buffer.newest.0), (MAX_ENTRIES, most + 1));
    (1..=most + 5).for_each(|pos| buffer.push_entry(entry(pos, SERVED)));
    assert_eq!((buffer.entries.len(), buffer.newest.0), (MAX_ENTRIES, most + 5));
    assert_eq!(buffer.missing(), None, "the first entry is held");
}

/// A commit: by this node or another one, with this many entries.
type Commit = (bool, u64);

#[derive(Debug, Clone)]
enum Step {
    /// This node's next commit is handed over.
    OwnCommit,
    /// A hint of another node's commit comes in, perhaps once more.
    Hint(Index),
    /// An entry of another node comes in, perhaps once more.
    Entry(Index),
    /// A poll of the store tells how far the log is.
    Poll,
    /// The store is read, up to this many positions.
    Backfill(u64),
    /// The follower starts again from its last applied position.
    Rewind,
    /// The log is restored from a backup that has this many positions.
    Restore(Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::OwnCommit),
        4 => any::<Index>().prop_map(Step::Hint),
        6 => any::<Index>().prop_map(Step::Entry),
        1 => Just(Step::Poll),
        2 => (1u64..6).prop_map(Step::Backfill),
        1 => Just(Step::Rewind),
        1 => any::<Index>().prop_map(Step::Restore),
    ]
}

/// The log as the store has it, and what the follower made of it.
struct Model {
    buffer: Buffer,
    /// The room of each position, from position 1 on; retention has removed some of the entries.
    rooms: Vec<(RoomId, bool)>,
    /// The commits of this node and those of others, as ranges of positions.
    own: VecDeque<Range<u64>>,
    others: Vec<Range<u64>>,
    /// The own batches in the buffer.
    waiting: Vec<Range<u64>>,
    applied: u64,
}

impl Model {
    fn new(commits: &[Commit], removed: &[u64]) -> Self {
        let (mut rooms, mut own, mut others) = (Vec::new(), VecDeque::new(), Vec::new());
        for (is_own, len) in commits {
            let first = rooms.len() as u64 + 1;
            for position in first..first + len {
                let room = match (is_own, position % 2) {
                    (true, _) => OWN,
                    (false, 0) => SERVED,
                    (false, _) => NOT_SERVED,
                };
                rooms.push((room, removed.contains(&position)));
            }
            if *is_own {
                own.push_back(first..first + len);
            } else if *len > 0 {
                others.push(first..first + len);
            }
        }
        Self {
            buffer: Buffer::starting(&at("a", 0)),
            rooms,
            own,
            others,
            waiting: Vec::new(),
            applied: 0,
        }
    }

    fn room(&self, position: u64) -> RoomId {
        self.rooms[usize::try_from(position - 1).unwrap()].0
    }

    fn is_removed(&self, position: u64) -> bool {
        self.rooms[usize::try_from(position - 1).unwrap()].1
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::OwnCommit => {
                if let Some(commit) = self.own.pop_front() {
                    self.buffer.push_batch(
                        LogPosition(commit.start),
                        commit.end - commit.start,
                        commit.clone(),
                    );
                    self.waiting.push(commit);
                }
            }
            Step::Hint(index) if !self.others.is_empty() => {
                let commit = index.get(&self.others).clone();
                let rooms: Vec<_> = commit.clone().map(|position| key(self.room(position))).collect();
                self.buffer.push_hints(LogPosition(commit.start), rooms);
            }
            Step::Entry(index) if !self.others.is_empty() => {
                for position in index.get(&self.others).clone() {
                    self.buffer.push_entry(entry(position, self.room(position)));
                }
            }
            Step::Hint(_) | Step::Entry(_) => {}
            Step::Poll => self.buffer.observe_log_end(LogPosition(self.rooms.len() as u64)),
            Step::Backfill(most) => self.backfill(*most),
            Step::Rewind => {
                let waiting = self.buffer.rewind(LogPosition(self.applied));
                assert_eq!(waiting, self.waiting.len());
            }
            Step::Restore(index) => self.restore(index.index(self.rooms.len() + 1)),
        }
    }

    fn backfill(&mut self, most: u64) {
        if let Some(mut missing) = self.buffer.missing() {
            missing.upto = missing.upto.min(missing.after.plus(most));
            let page: Vec<_> = (missing.after.0 + 1..=missing.upto.0)
                .filter(|position| !self.is_removed(*position))
                .map(|position| entry(position, self.room(position)))
                .collect();
            self.buffer.backfill(missing, page);
        }
    }

    /// The backup lacks the commits that this node has not handed over yet: they are made after it.
    fn restore(&mut self, kept: usize) {
        let mut dropped = self.buffer.restore(&at("b", kept as u64));
        dropped.sort_by_key(|batch| batch.start);
        assert_eq!(
            dropped,
            std::mem::take(&mut self.waiting),
            "no batch is lost with its acks"
        );
        self.rooms.truncate(kept);
        self.applied = kept as u64;
        self.own.clear();
        self.others.clear();
        let first = kept as u64 + 1;
        self.rooms
            .extend([(OWN, false), (SERVED, false), (NOT_SERVED, false)]);
        self.own.push_back(first..first + 1);
        self.others.push(first + 1..first + 3);
    }

    /// Applies the ready positions: each is the next one, with the entry that the log has there.
    fn apply(&mut self) {
        while let Some(ready) = self.buffer.pop(is_served) {
            let next = self.applied + 1;
            match ready {
                Ready::Batch {
                    first,
                    next: from,
                    batch,
                } => {
                    assert_eq!((first.0, from.0), (batch.start, next));
                    assert!(first.0 <= next);
                    assert_eq!(self.waiting.remove(0), batch, "batches keep their order");
                    self.applied = self.applied.max(batch.end - 1);
                }
                Ready::Entry(taken) => {
                    assert_eq!(taken, entry(next, self.room(next)));
                    self.applied = next;
                }
                Ready::NotServed { position, room } => {
                    assert_eq!((position.0, room), (next, key(NOT_SERVED)));
                    assert_eq!(self.room(next), NOT_SERVED);
                    self.applied = next;
                }
                Ready::Absent { upto } => {
                    assert!((next..=upto.0).all(|position| self.is_removed(position)));
                    assert!(upto.0 >= next);
                    self.applied = upto.0;
                }
            }
        }
        let held = self
            .buffer
            .entries
            .values()
            .map(|held| held.entry.body.len())
            .sum::<usize>();
        assert_eq!(self.buffer.bytes, held);
        let waiting = self.buffer.entries.keys().chain(self.buffer.hints.keys());
        assert!(waiting.min().is_none_or(|first| first.0 > self.applied));
    }
}

proptest! {
    /// However own commits, hints, entries, backfills, restarts and restores mix, and whatever the bus loses
    /// or repeats: each position is applied once, in order, with what the log has there.
    #[test]
    fn each_position_is_applied_once_and_in_order(
        commits in prop::collection::vec((any::<bool>(), 0u64..4), 0..30),
        removed in prop::collection::vec(1u64..60, 0..12),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut model = Model::new(&commits, &removed);
        for step in steps {
            model.take(&step);
            model.apply();
        }
        while !model.own.is_empty() {
            model.take(&Step::OwnCommit);
            model.apply();
        }
        model.take(&Step::Poll);
        model.apply();
        while model.buffer.missing().is_some() {
            model.backfill(3);
            model.apply();
        }
        prop_assert_eq!(model.applied, model.rooms.len() as u64);
        prop_assert!(model.waiting.is_empty());
    }
}
