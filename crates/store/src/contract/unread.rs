//! Unread counts in long rooms against a naive count over the history.

use std::collections::BTreeSet;

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{Harness, Outcome, change, message, room};
use crate::{Entry, EntryKind, NewEntry, Options, Page, Range, Retention, RoomId, Store, StoreError, Unread};

const USERS: [&str; 3] = ["ann", "bob", "cy"];
/// More than the largest block of numbers.
const ENTRIES: u64 = 17_000;
const BATCH: usize = 1_000;
/// Every so many messages mention a user.
const MENTIONING: u64 = 7;

fn new_entry(room: RoomId, seq: u64) -> NewEntry {
    let user = |n: u64| USERS[usize::try_from(n).unwrap_or_default() % USERS.len()];
    let (author, mentioned) = (user(seq * seq % 5), user(seq / MENTIONING));
    let mentions = if seq.is_multiple_of(MENTIONING) {
        vec![mentioned.to_owned()]
    } else {
        Vec::new()
    };
    NewEntry {
        mentions,
        ..message(room, author, None, "1")
    }
}

/// The kept entries in their current state.
async fn kept(store: &dyn Store, room: RoomId) -> Result<Vec<Entry>, StoreError> {
    let (mut entries, mut seq) = (Vec::new(), 0);
    loop {
        let page = Page {
            range: Range::After { seq, upto: u64::MAX },
            limit: 10_000,
        };
        let Some(page) = store.history(room, page).await? else {
            return Ok(entries);
        };
        entries.extend(page.entries);
        match entries.last() {
            Some(last) if page.more => seq = last.seq,
            _ => return Ok(entries),
        }
    }
}

/// Messages of others that are not deleted, each with whether it mentions the user.
fn naive(entries: &[Entry], user: &str) -> Vec<(u64, bool)> {
    let by_others = entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Message && entry.user_id != user && !entry.state.deleted);
    let mentions = |seq| new_entry(0, seq).mentions.iter().any(|one| one == user);
    by_others.map(|entry| (entry.seq, mentions(entry.seq))).collect()
}

fn count(messages: &[(u64, bool)], mark: u64) -> Unread {
    let mut unread = Unread::default();
    for (_, mentions) in messages.iter().filter(|(seq, _)| *seq > mark) {
        unread.messages += 1;
        unread.mentions += u64::from(*mentions);
    }
    unread
}

/// Random deletions, spread over the blocks and dense within one.
fn deletions() -> Vec<u64> {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let spread = prop_oneof![1..=ENTRIES, 200..600u64, (ENTRIES - 300)..=ENTRIES];
    let many = proptest::collection::vec(spread, 900).new_tree(&mut runner);
    let many = many.expect("no number is rejected");
    let distinct: BTreeSet<_> = many.current().into_iter().collect();
    distinct.into_iter().collect()
}

pub async fn counts_of_a_long_room_equal_a_naive_count(harness: &dyn Harness) -> Outcome {
    let options = Options {
        retention: Retention {
            max_entries: 10 * ENTRIES,
            ..Retention::default()
        },
        ..Options::default()
    };
    let store = harness.open(options);
    let room = room(&*store, "long").await?.id;
    for user in USERS {
        store.join(room, user, 1).await?;
    }
    let all: Vec<_> = (1..=ENTRIES).collect();
    for numbers in all.chunks(BATCH) {
        let entries = numbers.iter().map(|seq| new_entry(room, *seq));
        store.append(entries.collect()).await?;
    }
    let delete = |seq: u64| change(room, "ann", EntryKind::Delete, seq, "");
    let deletions: Vec<_> = deletions().into_iter().map(delete).collect();
    store.append(deletions).await?;

    let by_user = |entries: &[Entry]| USERS.map(|user| naive(entries, user));
    let mut messages = by_user(&kept(&*store, room).await?);
    for mark in [
        0,
        1,
        127,
        128,
        255,
        700,
        12_345,
        16_383,
        16_384,
        ENTRIES - 200,
        ENTRIES,
    ] {
        for (user, messages) in USERS.iter().zip(&messages) {
            let marked = store.mark_read(room, user, mark, 2).await?;
            let expected = count(messages, mark);
            assert_eq!(
                marked.map(|marked| marked.unread),
                Some(expected),
                "{user} {mark}"
            );
            assert_eq!(store.unread(room, user).await?, Some(expected), "{user} {mark}");
        }
        if mark == 128 {
            // From here on the oldest entry decides, not the mark.
            let limits = Retention {
                max_entries: ENTRIES,
                max_age_ms: i64::MAX,
                ..Retention::default()
            };
            store.trim(limits, 3).await?;
            messages = by_user(&kept(&*store, room).await?);
        }
    }
    let inbox = store.inbox("cy", 1, None).await?;
    let expected = Unread::default();
    assert_eq!(inbox.rooms.first().map(|row| row.unread), Some(expected));
    Ok(())
}
