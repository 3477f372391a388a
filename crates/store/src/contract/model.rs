//! The store against a naive one that keeps plain lists, over random histories of two rooms and three users.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{Harness, Outcome, message, read, room};
use crate::{
    Appended, Entry, History, Joined, Marked, Member, NewEntry, Options, Page, Range, Rejected, Retention,
    Role, RoomRow, Store, StoreError,
};

const CASES: u32 = 60;
const USERS: [&str; 3] = ["ann", "bob", "cy"];
const KEEP: u64 = 12;

#[derive(Debug, Clone)]
enum Step {
    /// (room, user, client id, body, time) each.
    Append(Vec<(usize, usize, Option<u8>, u8, i64)>),
    Join(usize, usize),
    Leave(usize, usize),
    Mark(usize, usize, u64),
    Read(usize, Range, u32),
    Trim(Retention, i64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let (rooms, users) = (0..2usize, 0..USERS.len());
    let entry = (
        rooms.clone(),
        users.clone(),
        proptest::option::weighted(0.6, 0..5u8),
        0..2u8,
        0..40i64,
    );
    let seq = prop_oneof![9 => 0..30u64, 1 => Just(u64::MAX)];
    let range = prop_oneof![
        seq.clone().prop_map(|upto| Range::Last { upto }),
        seq.clone().prop_map(Range::Before),
        (seq.clone(), seq.clone()).prop_map(|(seq, upto)| Range::After { seq, upto }),
    ];
    let limits = (1..15u64, 0..60i64).prop_map(|(max_entries, max_age_ms)| Retention {
        max_entries,
        max_age_ms,
    });
    prop_oneof![
        8 => proptest::collection::vec(entry, 1..6).prop_map(Step::Append),
        3 => (rooms.clone(), users.clone()).prop_map(|(room, user)| Step::Join(room, user)),
        1 => (rooms.clone(), users.clone()).prop_map(|(room, user)| Step::Leave(room, user)),
        4 => (rooms.clone(), users, seq).prop_map(|(room, user, seq)| Step::Mark(room, user, seq)),
        4 => (rooms, range, 0..8u32).prop_map(|(room, range, limit)| Step::Read(room, range, limit)),
        1 => (limits, 0..60i64).prop_map(|(limits, now)| Step::Trim(limits, now)),
        1 => Just(Step::Reopen),
    ]
}

/// A room as plain lists.
struct Naive {
    row: RoomRow,
    entries: Vec<Entry>,
    /// With whether they are members now.
    members: BTreeMap<&'static str, (Member, bool)>,
}

impl Naive {
    fn append(&mut self, new: NewEntry) -> Result<Appended, Rejected> {
        let NewEntry {
            kind,
            user_id,
            user_name,
            client_id,
            body,
            at,
            ..
        } = new;
        let earlier = |e: &&Entry| client_id.is_some() && e.client_id == client_id && e.user_id == user_id;
        if let Some(Entry {
            seq, at, body: known, ..
        }) = self.entries.iter().find(earlier)
        {
            let (seq, at) = (*seq, *at);
            return if *known == body {
                Ok(Appended::Duplicate { seq, at })
            } else {
                Err(Rejected::Conflict { seq })
            };
        }
        self.row.head += 1;
        let seq = self.row.head;
        self.entries.push(Entry {
            seq,
            kind,
            user_id,
            user_name,
            client_id,
            body,
            at,
        });
        self.keep(KEEP);
        Ok(Appended::New { seq, at })
    }

    fn keep(&mut self, max: u64) {
        while self.entries.len() as u64 > max {
            self.entries.remove(0);
        }
        self.row.first = self.entries.first().map_or(self.row.head + 1, |entry| entry.seq);
    }

    fn trim(&mut self, limits: Retention, now: i64) {
        self.keep(limits.max_entries);
        while self
            .entries
            .first()
            .is_some_and(|entry| entry.at < now - limits.max_age_ms)
        {
            self.keep(self.entries.len() as u64 - 1);
        }
    }

    fn join(&mut self, user: &'static str, at: i64) -> Joined {
        let fresh = Member {
            user_id: user.into(),
            read_seq: 0,
            read_at: None,
            joined_at: at,
            role: Role::Member,
        };
        let (member, active) = self.members.entry(user).or_insert((fresh, false));
        let newly = !std::mem::replace(active, true);
        if newly {
            member.joined_at = at;
        }
        Joined {
            room: self.row.clone(),
            member: member.clone(),
            newly,
        }
    }

    fn leave(&mut self, user: &str) -> bool {
        self.members
            .get_mut(user)
            .is_some_and(|(_, active)| std::mem::take(active))
    }

    fn member(&self, user: &str) -> Option<&Member> {
        self.members
            .get(user)
            .filter(|(_, active)| *active)
            .map(|(member, _)| member)
    }

    fn unread(&self, user: &str) -> Option<u64> {
        let mark = self.member(user)?.read_seq;
        Some(
            self.entries
                .iter()
                .filter(|entry| entry.seq > mark && entry.user_id != user)
                .count() as u64,
        )
    }

    fn mark(&mut self, user: &str, seq: u64, at: i64) -> Option<Marked> {
        let seq = seq.min(self.row.head);
        let (member, _) = self.members.get_mut(user).filter(|(_, active)| *active)?;
        let advanced = seq > member.read_seq;
        if advanced {
            (member.read_seq, member.read_at) = (seq, Some(at));
        }
        let read_seq = member.read_seq;
        Some(Marked {
            read_seq,
            advanced,
            unread: self.unread(user)?,
        })
    }

    fn page(&self, Page { range, limit }: Page) -> History {
        let (limit, newest_first) = (limit as usize, !matches!(range, Range::After { .. }));
        let within = |entry: &&Entry| match range {
            Range::Last { upto } => entry.seq <= upto,
            Range::Before(seq) => entry.seq < seq,
            Range::After { seq, upto } => entry.seq > seq && entry.seq <= upto,
        };
        let mut entries: Vec<Entry> = self.entries.iter().filter(within).cloned().collect();
        let more = entries.len() > limit;
        if newest_first {
            entries.drain(..entries.len().saturating_sub(limit));
        } else {
            entries.truncate(limit);
        }
        History {
            entries,
            more,
            first: self.row.first,
            head: self.row.head,
        }
    }
}

/// A store with its model.
struct Pair<'h> {
    harness: &'h dyn Harness,
    store: Arc<dyn Store>,
    rooms: [Naive; 2],
}

fn options() -> Options {
    Options {
        retention: Retention {
            max_entries: KEEP,
            ..Retention::default()
        },
        ..Options::default()
    }
}

impl Pair<'_> {
    async fn take(&mut self, clock: i64, step: Step) -> Outcome {
        let store = &*self.store;
        match step {
            Step::Append(entries) => {
                let (mut new, mut expected) = (Vec::new(), Vec::new());
                for (room, user, key, body, at) in entries {
                    let key = key.map(|key| key.to_string());
                    let id = self.rooms[room].row.id;
                    let entry = message(id, USERS[user], key.as_deref(), &body.to_string());
                    let entry = NewEntry { at, ..entry };
                    expected.push(self.rooms[room].append(entry.clone()));
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
        for naive in &self.rooms {
            let page = Page {
                range: Range::Before(u64::MAX),
                limit: 100,
            };
            assert_eq!(
                self.store.history(naive.row.id, page).await?,
                Some(naive.page(page))
            );
            assert_eq!(
                self.store.open_room(&naive.row.name, false, 0).await?.as_ref(),
                Some(&naive.row)
            );
            for user in USERS {
                assert_eq!(
                    self.store.member(naive.row.id, user).await?.as_ref(),
                    naive.member(user)
                );
                assert_eq!(self.store.unread(naive.row.id, user).await?, naive.unread(user));
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
pub async fn it_does_what_a_plain_list_would(harness: &dyn Harness) -> Outcome {
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
    let naive = async |name| {
        let row = room(&*store, &format!("{case}{name}")).await?;
        Ok::<_, StoreError>(Naive {
            row,
            entries: Vec::new(),
            members: BTreeMap::new(),
        })
    };
    let rooms = [naive("a").await?, naive("b").await?];
    let mut pair = Pair {
        harness,
        store,
        rooms,
    };
    for (clock, step) in (100..).zip(steps) {
        pair.take(clock, step).await?;
    }
    pair.compare().await?;
    pair.store.close().await;
    Ok(())
}
