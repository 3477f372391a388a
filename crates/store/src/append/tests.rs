//! Plans of single batches, and the law that it does not matter how appends are spread over batches.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt as _, HashSet};
use proptest::prelude::*;

use super::{
    Allowances, DedupKey, DedupRecord, Ends, Guards, Limits, Loaded, Plan, RecordedText, RoomBounds,
    RoomGuard, Target, Touched, fingerprint,
};
use crate::{Appended, EntryKind, LogPosition, NewEntry, Rejected, Retention, RoomId, RoomKind, RoomRow};

const ROOM: RoomId = 7;

fn bounds(id: RoomId, head: u64) -> RoomBounds {
    RoomBounds {
        row: RoomRow {
            id,
            name: format!("room-{id}"),
            epoch: "e".into(),
            head,
            first: 1,
            created_at: 0,
            kind: RoomKind::Public,
            history: None,
        },
        swept: 1,
        last_message: head,
        active_position: LogPosition::ZERO,
        messages: head,
        deletions: 0,
        appended: 0,
        appended_at: i64::MIN,
        changed: false,
    }
}

fn loaded<'a>(appends: &[&'a [NewEntry]]) -> Loaded<'a> {
    let targets = Touched::by(appends).targets.into_iter();
    Loaded {
        position: LogPosition(100),
        rooms: HashMap::from_iter([(ROOM, bounds(ROOM, 10))]),
        dedup: HashMap::new(),
        authors: HashMap::new(),
        targets: targets.map(|target| (target, Target::default())).collect(),
        allowances: Allowances::default(),
        guards: Guards::default(),
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
        replacement: None,
        charged: false,
        exempt: false,
        as_member: false,
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
    limits(max_entries, 1)
}

fn limits(max_entries: u64, reactions: u32) -> Limits {
    Limits {
        retention: Retention {
            max_entries,
            ..Retention::default()
        },
        reactions,
        edits: 2,
    }
}

fn new(seq: u64) -> Appended {
    Appended::New { seq, at: 5 }
}

#[test]
fn a_batch_sees_its_own_entries() {
    let react = change(EntryKind::Reaction { removed: false }, 11);
    let first = [message(Some("k")), message(Some("k")), react.clone(), react];
    let second = [
        change(EntryKind::Delete, 11),
        change(EntryKind::Edit, 11),
        message(Some("k")),
        message(None),
    ];
    let appends: [&[NewEntry]; 2] = [&first, &second];
    let plan = Plan::of(&appends, loaded(&appends), keeping(100));
    let again = Ok(Appended::Duplicate { seq: 11, at: 5 });
    assert_eq!(
        plan.results[0].results,
        [Ok(new(11)), again, Ok(new(12)), Ok(Appended::Unchanged)]
    );
    assert_eq!(
        plan.results[1].results,
        [Ok(new(13)), Err(Rejected::NoSuchMessage), again, Ok(new(14))]
    );
    let first_positions = plan.results.iter().map(|result| result.first_position.0);
    assert_eq!(first_positions.collect::<Vec<_>>(), [101, 103]);
    let numbers: Vec<_> = plan.new.iter().map(|new| (new.seq, new.position.0)).collect();
    assert_eq!(numbers, [(11, 101), (12, 102), (13, 103), (14, 104)]);
    assert_eq!(plan.position.0, 104);
}

#[test]
fn a_batch_recognises_the_retry_of_an_entry_that_it_dropped() {
    let entries = [
        message(Some("k")),
        message(None),
        message(None),
        message(Some("k")),
    ];
    let plan = Plan::of(&[&entries], loaded(&[&entries]), keeping(2));
    assert_eq!(
        plan.results[0].results,
        [
            Ok(new(11)),
            Ok(new(12)),
            Ok(new(13)),
            Ok(Appended::Duplicate { seq: 11, at: 5 })
        ]
    );
}

#[test]
fn an_entry_that_is_no_longer_kept_is_still_recognised() {
    let entries = [message(Some("k"))];
    let mut before = loaded(&[&entries]);
    before.rooms.insert(ROOM, {
        let mut room = bounds(ROOM, 10);
        room.keep_newest(3);
        room
    });
    before
        .dedup
        .insert((ROOM, "ann", "k"), DedupRecord::of(&entries[0], 4));
    let plan = Plan::of(&[&entries], before, keeping(3));
    assert_eq!(
        plan.results[0].results,
        [Ok(Appended::Duplicate { seq: 4, at: 5 })]
    );
}

#[test]
fn a_fingerprint_tells_texts_apart() {
    let entries = [message(Some("k"))];
    let answer = |text| {
        let mut before = loaded(&[&entries]);
        let record = DedupRecord {
            text,
            ..DedupRecord::of(&entries[0], 4)
        };
        before.dedup.insert((ROOM, "ann", "k"), record);
        Plan::of(&[&entries], before, keeping(100)).results[0].results[0]
    };
    let duplicate = Ok(Appended::Duplicate { seq: 4, at: 5 });
    let recorded = |body| RecordedText::Fingerprint(fingerprint("k", body));
    assert_eq!(answer(recorded("1")), duplicate);
    assert_eq!(answer(recorded("2")), Err(Rejected::Conflict { seq: 4 }));
    assert_eq!(answer(RecordedText::Erased), duplicate);
}

#[test]
fn a_conflict_writes_nothing() {
    let entries = [message(Some("k"))];
    let mut before = loaded(&[&entries]);
    let other = NewEntry {
        body: "2".into(),
        ..message(Some("k"))
    };
    let record = DedupRecord {
        text: DedupRecord::of(&other, 4).text,
        ..DedupRecord::of(&entries[0], 4)
    };
    before.dedup.insert((ROOM, "ann", "k"), record.clone());
    let mut plan = Plan::of(&[&entries], before, keeping(100));
    assert_eq!(plan.results[0].results, [Err(Rejected::Conflict { seq: 4 })]);
    assert!(plan.new.is_empty() && plan.changed().is_empty() && plan.take_sweeps().is_empty());
}

#[test]
fn a_user_is_mentioned_once_and_not_by_themselves() {
    let entries = [NewEntry {
        mentions: vec!["ann".into(), "bob".into(), "bob".into()],
        ..message(None)
    }];
    let plan = Plan::of(&[&entries], loaded(&[&entries]), keeping(100));
    assert_eq!(plan.mentions().collect::<Vec<_>>(), [(ROOM, 11, "bob")]);
    let by_block: Vec<_> = plan.mentions_by_block().into_iter().collect();
    let expected = [((ROOM, "bob", 128, 127), 1), ((ROOM, "bob", 16_384, 16_383), 1)];
    assert_eq!(by_block, expected);
}

#[test]
fn entries_carry_the_running_numbers_of_messages() {
    let by_bob = NewEntry {
        user_id: "bob".into(),
        ..message(None)
    };
    let entries = [
        message(None),
        change(EntryKind::Edit, 11),
        by_bob,
        change(EntryKind::Delete, 13),
        message(None),
    ];
    let mut before = loaded(&[&entries]);
    before.authors.insert((ROOM, "ann"), 4);
    let plan = Plan::of(&[&entries], before, keeping(100));
    let numbers: Vec<_> = plan
        .new
        .iter()
        .map(|new| (new.messages, new.own_messages))
        .collect();
    let expected = [
        (11, Some(5)),
        (11, None),
        (12, Some(1)),
        (12, None),
        (13, Some(6)),
    ];
    assert_eq!(numbers, expected);
    let room = &plan.rooms[&ROOM];
    assert_eq!((room.messages, room.deletions), (13, 1));
}

/// A database in memory: it loads and writes, and leaves the rules to the plan.
#[derive(Clone, Default)]
struct Rows {
    position: LogPosition,
    rooms: HashMap<RoomId, RoomBounds>,
    entries: BTreeMap<(RoomId, u64), NewEntry>,
    /// Entries that were swept.
    swept: BTreeMap<(RoomId, u64), NewEntry>,
    deleted: BTreeSet<(RoomId, u64)>,
    edits: BTreeMap<(RoomId, u64), u64>,
    /// Room, message, emoji and user.
    reactions: BTreeSet<(RoomId, u64, String, String)>,
}

impl Rows {
    fn with_rooms() -> Self {
        Self {
            rooms: (1..=2).map(|id| (id, bounds(id, 0))).collect(),
            ..Self::default()
        }
    }

    fn record<'a>(&'a self, key: DedupKey<'_>) -> Option<DedupRecord<'a>> {
        let found = self.entries.iter().chain(&self.swept).find(|((room, _), entry)| {
            (*room, &*entry.user_id) == (key.0, key.1) && entry.client_id.as_deref() == Some(key.2)
        });
        let (&(room, seq), entry) = found?;
        let message = entry.target.unwrap_or(seq);
        let erasable = matches!(entry.kind, EntryKind::Message | EntryKind::Edit);
        let mut record = DedupRecord::of(entry, seq);
        if erasable && self.deleted.contains(&(room, message)) {
            record.text = RecordedText::Erased;
        }
        Some(record)
    }

    fn target(&self, message: (RoomId, u64)) -> Target {
        let mut target = Target {
            live: self
                .entries
                .get(&message)
                .is_some_and(|entry| entry.kind == EntryKind::Message)
                && !self.deleted.contains(&message),
            edits: self.edits.get(&message).copied().unwrap_or_default(),
            ..Target::default()
        };
        let reactions = self.reactions.iter();
        for (_, _, emoji, user) in reactions.filter(|reaction| (reaction.0, reaction.1) == message) {
            *target.counts.entry(emoji.clone()).or_default() += 1;
            target.reacted.insert((emoji.clone(), user.clone()));
        }
        target
    }

    fn load<'a>(&'a self, touched: &Touched<'a>) -> Loaded<'a> {
        let rooms = touched.rooms.iter();
        let dedup = touched.dedup.iter();
        let targets = touched.targets.iter();
        Loaded {
            position: self.position,
            rooms: rooms
                .filter_map(|id| Some((*id, self.rooms.get(id)?.clone())))
                .collect(),
            dedup: dedup.filter_map(|key| Some((*key, self.record(*key)?))).collect(),
            authors: HashMap::new(),
            targets: targets.map(|target| (*target, self.target(*target))).collect(),
            allowances: Allowances::default(),
            guards: Guards::default(),
        }
    }

    fn write(&mut self, appends: &[&[NewEntry]], limits: Limits) -> Vec<Result<Appended, Rejected>> {
        let before = self.clone();
        let mut plan = Plan::of(appends, before.load(&Touched::by(appends)), limits);
        for new in &plan.new {
            self.entries.insert((new.entry.room, new.seq), new.entry.clone());
        }
        for new in &plan.new {
            self.mutate(new.entry);
        }
        for sweep in plan.take_sweeps() {
            let removed = self
                .entries
                .extract_if(.., |(id, seq), _| *id == sweep.room && sweep.span.contains(seq));
            self.swept.extend(removed);
        }
        self.position = plan.position;
        for (id, mut bounds) in plan.rooms {
            (bounds.appended, bounds.appended_at) = (0, i64::MIN);
            self.rooms.insert(id, bounds);
        }
        plan.results
            .into_iter()
            .flat_map(|result| result.results)
            .collect()
    }

    fn mutate(&mut self, entry: &NewEntry) {
        let Some(target) = entry.target else { return };
        let reaction = (entry.room, target, entry.body.clone(), entry.user_id.clone());
        match entry.kind {
            EntryKind::Delete => {
                self.deleted.insert((entry.room, target));
                self.reactions
                    .retain(|reaction| (reaction.0, reaction.1) != (entry.room, target));
            }
            EntryKind::Reaction { removed: false } => _ = self.reactions.insert(reaction),
            EntryKind::Reaction { removed: true } => _ = self.reactions.remove(&reaction),
            EntryKind::Edit => *self.edits.entry((entry.room, target)).or_default() += 1,
            EntryKind::Message | EntryKind::Control => {}
        }
    }

    /// What readers see: the rows of the entries that are kept.
    fn visible(&self) -> impl PartialEq + std::fmt::Debug {
        let kept = |room: &RoomId, seq: &u64| *seq >= self.rooms[room].row.first;
        let entries: Vec<_> = self
            .entries
            .iter()
            .filter(|((room, seq), _)| kept(room, seq))
            .collect();
        let deleted: Vec<_> = self
            .deleted
            .iter()
            .filter(|(room, seq)| kept(room, seq))
            .collect();
        let reactions: Vec<_> = self
            .reactions
            .iter()
            .filter(|(room, seq, ..)| kept(room, seq))
            .collect();
        let rooms: BTreeMap<_, _> = self
            .rooms
            .iter()
            .map(|(id, room)| (*id, (room.row.clone(), room.last_message, room.active_position)))
            .collect();
        format!(
            "{:?} {rooms:?} {entries:?} {deleted:?} {reactions:?}",
            self.position
        )
    }
}

fn entries() -> impl Strategy<Value = NewEntry> {
    let kind = prop_oneof![
        4 => Just(EntryKind::Message),
        2 => Just(EntryKind::Edit),
        2 => Just(EntryKind::Delete),
        2 => any::<bool>().prop_map(|removed| EntryKind::Reaction { removed }),
    ];
    let client_id = prop_oneof![2 => Just(None), 3 => "[kl]".prop_map(Some)];
    (1..=3i64, kind, 1..8u64, "[ab]", client_id, "[xy]", 0..9i64).prop_map(
        |(room, kind, target, user_id, client_id, body, at)| NewEntry {
            room,
            kind,
            target: kind.is_change().then_some(target),
            user_id,
            user_name: None,
            client_id,
            body,
            mentions: Vec::new(),
            at,
            replacement: None,
            charged: false,
            exempt: false,
            as_member: false,
        },
    )
}

proptest! {
    /// However appends are spread over batches, the answers and the visible rows are the same.
    #[test]
    fn the_spread_over_batches_does_not_matter(
        appends in prop::collection::vec(prop::collection::vec(entries(), 1..4), 1..12),
        batches in prop::collection::vec(1..5usize, 12),
        max_entries in prop_oneof![Just(1_000), 1..6u64],
        reactions in 1..3u32,
    ) {
        let limits = limits(max_entries, reactions);
        let (mut alone, mut together) = (Rows::with_rooms(), Rows::with_rooms());
        let mut rest = appends.iter().map(Vec::as_slice).collect::<Vec<_>>();
        for count in batches {
            let batch: Vec<_> = rest.drain(..count.min(rest.len())).collect();
            let expected: Vec<_> = batch.iter().flat_map(|append| alone.write(&[append], limits)).collect();
            prop_assert_eq!(together.write(&batch, limits), expected);
            prop_assert_eq!(together.visible(), alone.visible());
        }
    }

    /// Numbers and positions have no holes, and one key has one visible entry.
    #[test]
    fn numbers_are_dense_and_keys_unique(
        appends in prop::collection::vec(prop::collection::vec(entries(), 1..4), 1..12),
        max_entries in prop_oneof![Just(1_000), 1..6u64],
    ) {
        let mut rows = Rows::with_rooms();
        let appends: Vec<_> = appends.iter().map(Vec::as_slice).collect();
        let results = rows.write(&appends, limits(max_entries, 2));
        let new = results.iter().filter(|result| matches!(result, Ok(Appended::New { .. }))).count();
        prop_assert_eq!(rows.position.0, new as u64);
        let heads: u64 = rows.rooms.values().map(|room| room.row.head).sum();
        prop_assert_eq!(heads, new as u64);
        for (id, room) in &rows.rooms {
            let seqs = rows.entries.range((*id, room.row.first)..=(*id, u64::MAX)).map(|((_, seq), _)| *seq);
            prop_assert!(seqs.eq(room.row.first..=room.row.head));
            prop_assert!(room.row.head + 1 - room.row.first <= max_entries);
        }
        let keyed = rows.entries.values().filter_map(super::dedup::key);
        let keyed: Vec<_> = keyed.collect();
        let unique: BTreeSet<_> = keyed.iter().collect();
        prop_assert_eq!(unique.len(), keyed.len());
    }
}

#[test]
fn a_banned_author_adds_nothing_and_a_muted_one_only_deletes() {
    let until = |ban, mute| Ends { ban, mute };
    let kinds = || {
        [
            message(None),
            change(EntryKind::Reaction { removed: false }, 3),
            change(EntryKind::Edit, 3),
            change(EntryKind::Delete, 3),
        ]
    };
    let all = |rejected| vec![Err(rejected); 4];
    let but_delete = |rejected| vec![Err(rejected), Err(rejected), Err(rejected), Ok(new(11))];
    let passes = vec![Ok(new(11)), Ok(new(12)), Ok(new(13)), Ok(new(14))];
    // The entries have the time 5.
    let cases = [
        (until(6, i64::MIN), ROOM, all(Rejected::Banned)),
        (until(i64::MAX, 6), ROOM, all(Rejected::Banned)),
        (until(6, i64::MIN), 0, all(Rejected::Banned)),
        (until(6, i64::MIN), 8, passes.clone()),
        (until(5, 5), ROOM, passes),
        (until(5, 6), ROOM, but_delete(Rejected::Muted { until: Some(6) })),
        (until(5, i64::MAX), 0, but_delete(Rejected::Muted { until: None })),
    ];
    for (ends, room, expected) in cases {
        let entries = kinds();
        let appends: [&[NewEntry]; 1] = [&entries];
        let mut loaded = loaded(&appends);
        loaded.targets.insert(
            (ROOM, 3),
            Target {
                live: true,
                ..Target::default()
            },
        );
        loaded.guards.sanctions.insert((room, "ann".into()), ends);
        let plan = Plan::of(&appends, loaded, keeping(100));
        assert_eq!(plan.results[0].results, expected, "{ends:?} in {room}");
    }
}

#[test]
fn slow_mode_counts_from_the_last_message_also_within_a_batch() {
    let at = |at| NewEntry { at, ..message(None) };
    let bob = NewEntry {
        user_id: "bob".into(),
        ..at(51)
    };
    let exempt = NewEntry {
        exempt: true,
        ..at(52)
    };
    let entries = [
        at(39),
        at(40),
        at(49),
        change(EntryKind::Edit, 3),
        bob,
        exempt,
        at(45),
        at(20),
    ];
    let appends: [&[NewEntry]; 1] = [&entries];
    let mut loaded = loaded(&appends);
    loaded.targets.insert(
        (ROOM, 3),
        Target {
            live: true,
            ..Target::default()
        },
    );
    let guard = RoomGuard {
        slow_mode_ms: 10,
        last_sends: HashMap::from_iter([("ann".to_owned(), 30)]),
        ..RoomGuard::default()
    };
    loaded.guards.rooms.insert(ROOM, guard);
    let mut plan = Plan::of(&appends, loaded, keeping(100));
    let slow = |retry_after_ms| Err(Rejected::SlowMode { retry_after_ms });
    let sent = |seq, at| Ok(Appended::New { seq, at });
    assert_eq!(
        plan.results[0].results,
        [
            slow(1),
            sent(11, 40),
            slow(1),
            sent(12, 5),
            sent(13, 51),
            sent(14, 52),
            slow(10),
            sent(15, 20)
        ],
        "a clock that is set back far locks nobody out"
    );
    assert_eq!(
        plan.guards.take_sent(),
        [(ROOM, "ann".to_owned(), 20), (ROOM, "bob".to_owned(), 51)]
    );
}

#[test]
fn a_frozen_room_takes_entries_of_moderators_only() {
    let by = |user: &str| NewEntry {
        user_id: user.into(),
        ..message(None)
    };
    let exempt = NewEntry {
        exempt: true,
        ..message(None)
    };
    let entries = [by("ann"), by("bob"), exempt, change(EntryKind::Delete, 3)];
    let appends: [&[NewEntry]; 1] = [&entries];
    let mut loaded = loaded(&appends);
    loaded.targets.insert(
        (ROOM, 3),
        Target {
            live: true,
            ..Target::default()
        },
    );
    let guard = RoomGuard {
        frozen: true,
        moderators: HashSet::from_iter(["bob".to_owned()]),
        ..RoomGuard::default()
    };
    loaded.guards.rooms.insert(ROOM, guard);
    let plan = Plan::of(&appends, loaded, keeping(100));
    assert_eq!(
        plan.results[0].results,
        [Err(Rejected::Frozen), Ok(new(11)), Ok(new(12)), Ok(new(13))]
    );
}
