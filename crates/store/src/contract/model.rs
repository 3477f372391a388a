//! The store against a reference one that keeps plain lists, over random histories of two rooms and three
//! users.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{
    Harness, Outcome, message, read,
    reference::{KEEP, REACTIONS, ReferenceRoom},
    room,
};
use crate::{EntryKind, NewEntry, Options, Page, Range, Retention, RoomId, Store, StoreError};

const CASES: u32 = 60;
const USERS: [&str; 3] = ["ann", "bob", "cy"];

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Said>),
    Join(usize, usize),
    Leave(usize, usize),
    Mark(usize, usize, u64),
    Deliver(usize, usize, u64),
    Read(usize, Range, u32),
    Trim(Retention, i64),
    Reopen,
}

/// An entry to append; its user and those it mentions (one bit each) are among [`USERS`].
#[derive(Debug, Clone)]
struct Said {
    room: usize,
    user: usize,
    kind: EntryKind,
    target: u64,
    key: Option<u8>,
    body: u8,
    mentions: u8,
    at: i64,
}

fn said() -> impl Strategy<Value = Said> {
    let kind = prop_oneof![
        5 => Just(EntryKind::Message),
        2 => Just(EntryKind::Edit),
        1 => Just(EntryKind::Delete),
        3 => Just(EntryKind::Reaction { removed: false }),
        1 => Just(EntryKind::Reaction { removed: true }),
        1 => Just(EntryKind::Control),
    ];
    let key = proptest::option::weighted(0.4, 0..6u8);
    let what = (kind, 0..30u64, key, 0..4u8, 0..8u8);
    (0..2usize, 0..USERS.len(), what, 0..40i64).prop_map(|(room, user, what, at)| {
        let (kind, target, key, body, mentions) = what;
        Said {
            room,
            user,
            kind,
            target,
            key,
            body,
            mentions,
            at,
        }
    })
}

impl Said {
    fn entry(&self, room: RoomId) -> NewEntry {
        let is_message = self.kind == EntryKind::Message;
        let mentioned = USERS
            .iter()
            .enumerate()
            .filter(|(n, _)| is_message && self.mentions >> n & 1 == 1);
        NewEntry {
            kind: self.kind,
            target: (!is_message && self.kind != EntryKind::Control).then_some(self.target),
            mentions: mentioned.map(|(_, user)| (*user).into()).collect(),
            at: self.at,
            ..message(
                room,
                USERS[self.user],
                self.key.map(|key| key.to_string()).as_deref(),
                &self.body.to_string(),
            )
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let (rooms, users) = (0..2usize, 0..USERS.len());
    let seq = prop_oneof![9 => 0..30u64, 1 => Just(u64::MAX)];
    let range = prop_oneof![
        seq.clone().prop_map(|upto| Range::Last { upto }),
        seq.clone().prop_map(Range::Before),
        (seq.clone(), seq.clone()).prop_map(|(seq, upto)| Range::After { seq, upto }),
    ];
    let limits = (1..15u64, 0..60i64).prop_map(|(max_entries, max_age_ms)| Retention {
        max_entries,
        max_age_ms,
        ..Retention::default()
    });
    prop_oneof![
        8 => proptest::collection::vec(said(), 1..6).prop_map(Step::Append),
        3 => (rooms.clone(), users.clone()).prop_map(|(room, user)| Step::Join(room, user)),
        1 => (rooms.clone(), users.clone()).prop_map(|(room, user)| Step::Leave(room, user)),
        4 => (rooms.clone(), users.clone(), seq.clone())
            .prop_map(|(room, user, seq)| Step::Mark(room, user, seq)),
        2 => (rooms.clone(), users, seq).prop_map(|(room, user, seq)| Step::Deliver(room, user, seq)),
        4 => (rooms, range, 0..8u32).prop_map(|(room, range, limit)| Step::Read(room, range, limit)),
        1 => (limits, 0..60i64).prop_map(|(limits, now)| Step::Trim(limits, now)),
        1 => Just(Step::Reopen),
    ]
}

/// A store with its model.
struct Pair<'h> {
    harness: &'h dyn Harness,
    store: Arc<dyn Store>,
    rooms: [ReferenceRoom; 2],
    /// Entries that the case has appended, refused ones included.
    entries: u64,
}

fn options() -> Options {
    Options {
        retention: Retention {
            max_entries: KEEP,
            ..Retention::default()
        },
        reactions: REACTIONS,
        ..Options::default()
    }
}

impl Pair<'_> {
    async fn take(&mut self, clock: i64, step: Step) -> Outcome {
        let store = &*self.store;
        match step {
            Step::Append(entries) => {
                let (mut new, mut expected) = (Vec::new(), Vec::new());
                for said in entries {
                    let room = &mut self.rooms[said.room];
                    let entry = said.entry(room.row.id);
                    self.entries += 1;
                    expected.push(room.append(entry.clone(), self.entries));
                    new.push(entry);
                }
                assert_eq!(store.append(new).await?, expected);
            }
            Step::Join(room, user) => {
                let room = &mut self.rooms[room];
                let joined = store.join(room.row.id, USERS[user], clock).await?;
                assert_eq!(joined, Some(room.join(USERS[user], clock)));
            }
            Step::Leave(room, user) => {
                let room = &mut self.rooms[room];
                assert_eq!(
                    store.leave(room.row.id, USERS[user]).await?,
                    room.leave(USERS[user])
                );
            }
            Step::Mark(room, user, seq) => {
                let room = &mut self.rooms[room];
                let marked = store.mark_read(room.row.id, USERS[user], seq, clock).await?;
                assert_eq!(marked, room.mark(USERS[user], seq, clock));
            }
            Step::Deliver(room, user, seq) => {
                let room = &mut self.rooms[room];
                let marked = store.mark_room_delivered(room.row.id, USERS[user], seq).await?;
                assert_eq!(marked, room.deliver(USERS[user], seq));
            }
            Step::Read(room, range, limit) => {
                let room = &self.rooms[room];
                let page = read(store, room.row.id, range, limit).await?;
                assert_eq!(page, room.page(Page { range, limit }));
            }
            Step::Trim(limits, now) => {
                store.trim(limits, now).await?;
                self.rooms.iter_mut().for_each(|room| room.trim(limits, now));
            }
            Step::Reopen => {
                store.close().await;
                self.store = self.harness.open(options());
            }
        }
        Ok(())
    }

    async fn compare(&self) -> Outcome {
        for user in USERS {
            let mut rooms: Vec<_> = self
                .rooms
                .iter()
                .filter_map(|reference| reference.inbox_row(user))
                .collect();
            rooms.sort_by_key(|row| std::cmp::Reverse(row.cursor));
            // All cases share their data: other rooms of the user may come between.
            let mut inbox = self.store.inbox(user, 10_000, None).await?;
            inbox
                .rooms
                .retain(|row| self.rooms.iter().any(|reference| reference.row.id == row.room.id));
            assert!(inbox.rooms.is_sorted_by(|a, b| a.cursor > b.cursor), "{inbox:?}");
            // The reference knows the order of positions, not their values.
            for (expected, found) in rooms.iter_mut().zip(&inbox.rooms) {
                expected.cursor = found.cursor;
            }
            assert_eq!(inbox.rooms, rooms);
        }
        for reference in &self.rooms {
            let page = Page {
                range: Range::After {
                    seq: 0,
                    upto: u64::MAX,
                },
                limit: 100,
            };
            assert_eq!(
                self.store.history(reference.row.id, page).await?,
                Some(reference.page(page))
            );
            assert_eq!(
                self.store
                    .open_room(&reference.row.name, false, 0)
                    .await?
                    .as_ref(),
                Some(&reference.row)
            );
            for user in USERS {
                assert_eq!(
                    self.store.member(reference.row.id, user).await?.as_ref(),
                    reference.member(user)
                );
                assert_eq!(
                    self.store.unread(reference.row.id, user).await?,
                    reference.unread(user)
                );
            }
        }
        Ok(())
    }
}

/// Each step has the same answer, and every history ends in the same state.
#[allow(
    clippy::unused_async,
    reason = "cases are awaited alike; this one blocks, as proptest does"
)]
pub async fn it_behaves_like_a_plain_list(harness: &dyn Harness) -> Outcome {
    let runtime = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let histories = proptest::collection::vec(step(), 1..60);
    let case = AtomicU32::new(0);
    let run = |steps| {
        let case = case.fetch_add(1, Ordering::Relaxed);
        runtime
            .block_on(history(harness, case, steps))
            .map_err(|error| TestCaseError::fail(error.to_string()))
    };
    let agreed = tokio::task::block_in_place(|| runner.run(&histories, run));
    agreed.map_err(|why| StoreError::Internal(why.to_string()))
}

/// All cases share their data, each has rooms of its own.
async fn history(harness: &dyn Harness, case: u32, steps: Vec<Step>) -> Outcome {
    let store = harness.open(options());
    let reference = async |name| {
        let row = room(&*store, &format!("{case}{name}")).await?;
        Ok::<_, StoreError>(ReferenceRoom::new(row))
    };
    let rooms = [reference("a").await?, reference("b").await?];
    let mut pair = Pair {
        harness,
        store,
        rooms,
        entries: 0,
    };
    for (clock, step) in (100..).zip(steps) {
        pair.take(clock, step).await?;
    }
    pair.compare().await?;
    pair.store.close().await;
    Ok(())
}
