//! The first trip of a flight: it takes the lock of the order, then those of its rooms in the order of their ids, and reads
//! all that deciding about its entries takes. Each of its statements sees what was committed before the locks were given.

use std::collections::{BTreeSet, HashMap, HashSet};

use tokio_postgres::Row;

use crate::{
    EntryKind, NewEntry, RoomId,
    dedup_record::DedupRecord,
    postgres::{
        conn::{Conn, Step},
        failure::Failure,
        generation::{LogState, STORED_STATE_LOCKED},
        rooms::{self, ROOM_COLUMNS},
        value::{Columns as _, num, text},
    },
    tail::Tail,
};

/// An entry's client id with what it is unique in.
pub(super) type Key<'a> = (RoomId, &'a str, &'a str);

/// A message that an entry of the flight is about.
#[derive(Default)]
pub(super) struct Target {
    /// Whether it is a message that is not deleted.
    pub(super) live: bool,
    /// Reactions of users of this flight that are there.
    pub(super) reacted: HashSet<(String, String)>,
    /// How many users reacted alike.
    pub(super) counts: HashMap<String, u64>,
}

/// What the database says that a flight has to know.
pub(super) struct Loaded<'a> {
    /// The newest position.
    pub(super) pos: u64,
    pub(super) rooms: HashMap<RoomId, Tail>,
    pub(super) known: HashMap<Key<'a>, DedupRecord>,
    pub(super) targets: HashMap<(RoomId, u64), Target>,
}

const ROOMS: &str = "SELECT r.id, r.name, r.epoch, r.head, r.first, r.created_at, r.kind, r.history,
        r.swept, r.last_message, r.active_at
    FROM rooms r WHERE r.id = ANY($1) ORDER BY r.id FOR NO KEY UPDATE";
/// The limits keep the planner from anything but one look into the index for each.
const KNOWN: &str = "SELECT t.at, e.seq, e.at, e.kind, e.target, e.body, e.kind IN (0, 1) AND EXISTS
        (SELECT 1 FROM message_states s
         WHERE s.room_id = e.room_id AND s.seq = coalesce(e.target, e.seq) AND s.deleted = 1)
    FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY t (room_id, user_id, client_id, at)
    CROSS JOIN LATERAL (SELECT * FROM entries e
        WHERE e.room_id = t.room_id AND e.user_id = t.user_id AND e.client_id = t.client_id LIMIT 1) e";
const TARGETS: &str = "SELECT e.room_id, e.seq, e.kind = 0 AND NOT EXISTS (SELECT 1 FROM message_states s
        WHERE s.room_id = e.room_id AND s.seq = e.seq AND s.deleted = 1)
    FROM unnest($1::bigint[], $2::bigint[]) t (room_id, seq)
    CROSS JOIN LATERAL (SELECT * FROM entries e WHERE e.room_id = t.room_id AND e.seq = t.seq LIMIT 1) e";
const COUNTS: &str = "SELECT c.room_id, c.seq, c.emoji, c.users
    FROM unnest($1::bigint[], $2::bigint[]) t (room_id, seq)
    JOIN reaction_counts c ON c.room_id = t.room_id AND c.seq = t.seq";
const REACTED: &str = "SELECT r.room_id, r.seq, r.emoji, r.user_id
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) t (room_id, seq, emoji, user_id)
    JOIN reactions r ON r.room_id = t.room_id AND r.seq = t.seq AND r.emoji = t.emoji AND r.user_id = t.user_id";

/// Answers `None`, with the transaction open, if the log is not as this node left it. Fails if it is another database's.
pub(super) async fn load<'a>(
    conn: &Conn,
    log_state: &LogState,
    appends: &[&'a [NewEntry]],
) -> Result<Option<Loaded<'a>>, Failure> {
    debug_assert!(ROOMS.contains("r.history") && ROOM_COLUMNS.ends_with("r.history"));
    let entries = || appends.iter().copied().flatten();
    let keys: Vec<Key<'a>> = entries()
        .filter_map(|entry| Some((entry.room, &*entry.user_id, entry.client_id.as_deref()?)))
        .collect();
    let rooms: BTreeSet<RoomId> = entries().map(|entry| entry.room).collect();
    let mut steps = vec![
        Step::new("BEGIN", Vec::new()),
        Step::new(STORED_STATE_LOCKED, vec![Box::new(log_state.node())]),
        Step::new(ROOMS, vec![Box::new(rooms.into_iter().collect::<Vec<_>>())]),
        known(&keys),
    ];
    steps.extend(about(entries()));
    let mut answers = conn.send(&steps).await?.into_iter().skip(1);
    let mut next = || answers.next().unwrap_or_default();
    let Some(stored) = next().first().map(|row| log_state.read(row)).transpose()? else {
        return Err(crate::StoreError::Internal("the order of the log has no row".into()).into());
    };
    if !log_state.matches(&stored) {
        return Ok(None);
    }
    let mut loaded = Loaded {
        pos: stored.position,
        rooms: HashMap::new(),
        known: HashMap::new(),
        targets: HashMap::new(),
    };
    for row in next() {
        let tail = rooms::tail(&row)?;
        loaded.rooms.insert(tail.row.id, tail);
    }
    for row in next() {
        let at = usize::try_from(row.int(0)?).unwrap_or_default();
        if let Some(key) = at.checked_sub(1).and_then(|at| keys.get(at)) {
            loaded.known.insert(*key, known_row(&row)?);
        }
    }
    let target = |row: &Row| -> Result<_, Failure> {
        let place = (row.int(0)?, row.num(1)?);
        Ok(place)
    };
    for row in next() {
        loaded.targets.entry(target(&row)?).or_default().live = row.flag(2)?;
    }
    for row in next() {
        loaded
            .targets
            .entry(target(&row)?)
            .or_default()
            .counts
            .insert(row.text(2)?, row.num(3)?);
    }
    for row in next() {
        loaded
            .targets
            .entry(target(&row)?)
            .or_default()
            .reacted
            .insert((row.text(2)?, row.text(3)?));
    }
    Ok(Some(loaded))
}

fn known(keys: &[Key<'_>]) -> Step {
    let rooms: Vec<i64> = keys.iter().map(|key| key.0).collect();
    let users: Vec<String> = keys.iter().map(|key| text(key.1).into_owned()).collect();
    let ids: Vec<String> = keys.iter().map(|key| text(key.2).into_owned()).collect();
    Step::new(KNOWN, vec![Box::new(rooms), Box::new(users), Box::new(ids)])
}

fn known_row(row: &Row) -> Result<DedupRecord, Failure> {
    Ok(DedupRecord {
        seq: row.num(1)?,
        at: row.int(2)?,
        kind: row.kind(3)?,
        target: row.opt_num(4)?,
        body: row.text(5)?,
        wiped: row.flag(6)?,
    })
}

/// What is to be known of the messages that entries are about; nothing if there are none, as with most flights.
fn about<'a>(entries: impl Iterator<Item = &'a NewEntry>) -> Vec<Step> {
    let changes: Vec<(&NewEntry, i64)> = entries
        .filter_map(|entry| Some((entry, num(entry.target?))))
        .collect();
    if changes.is_empty() {
        return Vec::new();
    }
    let places: BTreeSet<(i64, i64)> = changes
        .iter()
        .map(|(entry, target)| (entry.room, *target))
        .collect();
    let (rooms, seqs): (Vec<i64>, Vec<i64>) = places.into_iter().unzip();
    let reactions: Vec<_> = changes
        .iter()
        .filter(|(entry, _)| matches!(entry.kind, EntryKind::Reaction { .. }))
        .collect();
    let reacted: Vec<super::super::conn::Param> = vec![
        Box::new(reactions.iter().map(|(entry, _)| entry.room).collect::<Vec<_>>()),
        Box::new(reactions.iter().map(|(_, target)| *target).collect::<Vec<_>>()),
        Box::new(
            reactions
                .iter()
                .map(|(entry, _)| text(&entry.body).into_owned())
                .collect::<Vec<_>>(),
        ),
        Box::new(
            reactions
                .iter()
                .map(|(entry, _)| text(&entry.user_id).into_owned())
                .collect::<Vec<_>>(),
        ),
    ];
    vec![
        Step::new(TARGETS, vec![Box::new(rooms.clone()), Box::new(seqs.clone())]),
        Step::new(COUNTS, vec![Box::new(rooms), Box::new(seqs)]),
        Step::new(REACTED, reacted),
    ]
}
