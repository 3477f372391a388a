//! Appends in SQLite: loading the rows that a batch touches, and writing what its plan says.

use std::borrow::Cow;

use foldhash::{HashMap, HashMapExt as _};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{batch::Batch, column::Seq, guards, outbox, rooms, statement::execute, usage, write::Write};
use crate::{
    AppendResult, EntryKind, ModerationAct, NewEntry, Rejected, RoomId,
    append::{
        Allowances, Author, DedupKey, DedupRecord, Guards, Loaded, Plan, RecordedText, Target, Touched,
        is_erased, mutation, statements,
    },
    group_commit::{Job, Weight},
};

pub(super) struct Append(pub(super) Vec<NewEntry>);

impl Job for Append {
    fn weight(&self) -> Weight {
        Weight {
            writes: self.0.len(),
            bytes: self.0.iter().map(NewEntry::weight).sum(),
        }
    }
}

/// Removes a room, and appends an entry that says so to another.
pub(super) struct DeleteRoom {
    pub(super) room: RoomId,
    pub(super) control: NewEntry,
}

impl Write for DeleteRoom {
    type Answer = AppendResult;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<AppendResult> {
        announce(batch, Some(self.room), &self.control, |batch| {
            rooms::Delete(self.room).apply(batch).map(drop)
        })
    }
}

/// Carries out an act, and appends the entry that announces it.
pub(super) struct Moderate {
    pub(super) act: ModerationAct,
    pub(super) control: NewEntry,
}

impl Write for Moderate {
    type Answer = AppendResult;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<AppendResult> {
        announce(batch, self.act.room(), &self.control, |batch| {
            *batch.unmoderated = false;
            for statement in statements(&self.act) {
                execute(batch.conn, &statement)?;
            }
            Ok(())
        })
    }
}

/// Appends the entry that announces a change, then makes the change. Without the entry, nothing happens.
/// `room` is one that must exist.
pub(super) fn announce<'c>(
    batch: &mut Batch<'c>,
    room: Option<RoomId>,
    control: &NewEntry,
    change: impl FnOnce(&mut Batch<'c>) -> rusqlite::Result<()>,
) -> rusqlite::Result<AppendResult> {
    if let Some(room) = room
        && batch.room(room)?.is_none()
    {
        return Ok(AppendResult {
            results: vec![Err(Rejected::NoSuchRoom)],
            first_position: batch.position()?.next(),
        });
    }
    let results = append(batch, &[std::slice::from_ref(control)])?;
    let result = results
        .into_iter()
        .next()
        .ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    if matches!(result.results[..], [Ok(_)]) {
        change(batch)?;
    }
    Ok(result)
}

/// Appends what several callers want appended, in their order. Answers a result for each.
pub(super) fn append(batch: &mut Batch<'_>, appends: &[&[NewEntry]]) -> rusqlite::Result<Vec<AppendResult>> {
    let allowances = allow(batch, appends)?;
    let guards = guards::guards(batch, appends)?;
    let loaded = load(batch, &Touched::by(appends), allowances, guards)?;
    let mut plan = Plan::of(appends, loaded, batch.limits());
    write(batch.conn, &plan)?;
    guards::note_sends(batch.conn, plan.guards.take_sent())?;
    batch.reservations.settle(&plan.allowances);
    batch.over_quota(plan.over_quota());
    let (results, new) = (std::mem::take(&mut plan.results), std::mem::take(&mut plan.new));
    batch.take_back(plan);
    for new in &new {
        outbox::appended(batch, new.entry, new.seq)?;
        batch.erased |= new.entry.kind == EntryKind::Delete || new.entry.replacement.is_some();
    }
    Ok(results)
}

/// What the authors may append. Asks the database about those whose reservations do not suffice.
fn allow<'a>(batch: &mut Batch<'_>, appends: &[&'a [NewEntry]]) -> rusqlite::Result<Allowances<'a>> {
    let mut allowances = batch.reservations.allow(appends);
    for user in allowances.missing().to_vec() {
        let counted = usage::of(batch.conn, user, allowances.day)?;
        allowances.counted(user, counted.bytes);
    }
    Ok(allowances)
}

fn load<'a>(
    batch: &mut Batch<'_>,
    touched: &Touched<'a>,
    allowances: Allowances<'a>,
    guards: Guards,
) -> rusqlite::Result<Loaded<'a>> {
    let conn = batch.conn;
    Ok(Loaded {
        position: batch.position()?,
        dedup: load_dedup(batch, &touched.dedup)?,
        authors: load_authors(conn, &touched.authors)?,
        targets: load_targets(conn, touched)?,
        rooms: batch.lend_rooms(&touched.rooms)?,
        allowances,
        guards,
    })
}

fn load_dedup<'a>(
    batch: &mut Batch<'_>,
    keys: &[DedupKey<'a>],
) -> rusqlite::Result<HashMap<DedupKey<'a>, DedupRecord<'a>>> {
    const STORED: &str = concat!(
        "SELECT e.seq, e.at, e.kind, e.target, ",
        is_erased!(),
        ", e.body FROM entries e WHERE e.room_id = ?1 AND e.user_id = ?2 AND e.client_id = ?3"
    );
    const REMOVED: &str = "SELECT seq, at, kind, target, fingerprint IS NULL, fingerprint FROM dedup_records
        WHERE room_id = ?1 AND user_id = ?2 AND client_id = ?3";
    // The plan adds a record for each key.
    let mut found = HashMap::with_capacity(keys.len());
    let mut stored = batch.conn.prepare_cached(STORED)?;
    let mut removed = batch.conn.prepare_cached(REMOVED)?;
    for key in keys {
        let body = |row: &Row<'_>| record(row, |row| Ok(RecordedText::Body(Cow::Owned(row.get(5)?))));
        let mut record_found = stored.query_row(*key, body).optional()?;
        // A room that never removed an entry has no other records.
        if record_found.is_none() && batch.room(key.0)?.is_some_and(|room| room.swept > 1) {
            let fingerprint = |row: &Row<'_>| record(row, |row| Ok(RecordedText::Fingerprint(row.get(5)?)));
            record_found = removed.query_row(*key, fingerprint).optional()?;
        }
        if let Some(record) = record_found {
            found.insert(*key, record);
        }
    }
    Ok(found)
}

/// Reads a dedup record. `text` is called unless the text was erased.
fn record<'a>(
    row: &Row<'_>,
    text: impl FnOnce(&Row<'_>) -> rusqlite::Result<RecordedText<'a>>,
) -> rusqlite::Result<DedupRecord<'a>> {
    Ok(DedupRecord {
        seq: row.get::<_, Seq>(0)?.0,
        at: row.get(1)?,
        kind: row.get(2)?,
        target: row.get::<_, Option<Seq>>(3)?.map(|seq| seq.0),
        text: if row.get(4)? {
            RecordedText::Erased
        } else {
            text(row)?
        },
    })
}

/// The number of each author's newest message.
fn load_authors<'a>(conn: &Connection, authors: &[Author<'a>]) -> rusqlite::Result<HashMap<Author<'a>, u64>> {
    const SQL: &str = "SELECT own_messages FROM entries INDEXED BY entries_own
        WHERE room_id = ?1 AND user_id = ?2 AND kind = 0 ORDER BY seq DESC LIMIT 1";
    let mut numbers = HashMap::with_capacity(authors.len());
    let mut query = conn.prepare_cached(SQL)?;
    for author in authors {
        let own = query.query_row(params![author.0, author.1], |row| row.get::<_, Seq>(0));
        if let Some(Seq(own)) = own.optional()? {
            numbers.insert(*author, own);
        }
    }
    Ok(numbers)
}

fn load_targets(
    conn: &Connection,
    touched: &Touched<'_>,
) -> rusqlite::Result<HashMap<(RoomId, u64), Target>> {
    let mut targets = HashMap::with_capacity(touched.targets.len());
    for &(room, seq) in &touched.targets {
        let (live, edits) = state(conn, room, seq)?;
        let target = Target {
            live,
            edits,
            ..Target::default()
        };
        targets.insert((room, seq), target);
    }
    for &(room, seq, emoji, user) in &touched.reactions {
        let Some(target) = targets.get_mut(&(room, seq)) else {
            continue;
        };
        if target.counts.is_empty() {
            target.counts = counts(conn, room, seq)?;
        }
        if has_reacted(conn, (room, seq), emoji, user)? {
            target.reacted.insert((emoji.to_owned(), user.to_owned()));
        }
    }
    Ok(targets)
}

/// True for a message that is not deleted, and how often it was edited.
fn state(conn: &Connection, room: RoomId, seq: u64) -> rusqlite::Result<(bool, u64)> {
    const SQL: &str = "SELECT e.kind = 0 AND coalesce(s.deleted, 0) = 0, coalesce(s.edits, 0) FROM entries e
        LEFT JOIN message_states s ON s.room_id = e.room_id AND s.seq = e.seq
        WHERE e.room_id = ?1 AND e.seq = ?2";
    let state = conn
        .prepare_cached(SQL)?
        .query_row(params![room, Seq(seq)], |row| {
            Ok((row.get(0)?, row.get::<_, Seq>(1)?.0))
        })
        .optional()?;
    Ok(state.unwrap_or_default())
}

/// How many users reacted with each emoji.
fn counts(conn: &Connection, room: RoomId, seq: u64) -> rusqlite::Result<HashMap<String, u64>> {
    conn.prepare_cached("SELECT emoji, users FROM reaction_counts WHERE room_id = ?1 AND seq = ?2")?
        .query_map(params![room, Seq(seq)], |row| {
            Ok((row.get(0)?, row.get::<_, Seq>(1)?.0))
        })?
        .collect()
}

fn has_reacted(
    conn: &Connection,
    (room, seq): (RoomId, u64),
    emoji: &str,
    user: &str,
) -> rusqlite::Result<bool> {
    const SQL: &str =
        "SELECT 1 FROM reactions WHERE room_id = ?1 AND seq = ?2 AND emoji = ?3 AND user_id = ?4";
    conn.prepare_cached(SQL)?
        .exists(params![room, Seq(seq), emoji, user])
}

/// Writes the entries and their effects. The bounds of the rooms are written at the end of the
/// transaction.
fn write(conn: &Connection, plan: &Plan<'_>) -> rusqlite::Result<()> {
    insert(conn, plan)?;
    for (room, seq, user) in plan.mentions() {
        conn.prepare_cached("INSERT OR IGNORE INTO mentions (room_id, seq, user_id) VALUES (?1, ?2, ?3)")?
            .execute(params![room, Seq(seq), user])?;
    }
    for ((room, user, size, end), mentions) in plan.mentions_by_block() {
        const SQL: &str = "INSERT INTO mention_counts (room_id, user_id, size, last_seq, messages)
            VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET messages = messages + excluded.messages";
        conn.prepare_cached(SQL)?
            .execute(params![room, user, Seq(size), Seq(end), Seq(mentions)])?;
    }
    for new in &plan.new {
        for statement in mutation(new.entry, new.seq) {
            execute(conn, &statement)?;
        }
    }
    for (user, bytes) in plan.allowances.to_count() {
        usage::count(conn, user, plan.allowances.day, 0, bytes)?;
    }
    Ok(())
}

fn insert(conn: &Connection, plan: &Plan<'_>) -> rusqlite::Result<()> {
    const SQL: &str =
        "INSERT INTO entries (room_id, seq, kind, at, user_id, client_id, user_name, body, target, position,
            messages, own_messages)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let mut insert = conn.prepare_cached(SQL)?;
    for new in &plan.new {
        let entry = new.entry;
        insert.execute(params![
            entry.room,
            Seq(new.seq),
            entry.kind,
            entry.at,
            entry.user_id,
            entry.client_id,
            entry.user_name,
            entry.body,
            entry.target.map(Seq),
            Seq(new.position.0),
            Seq(new.messages),
            new.own_messages.map(Seq)
        ])?;
    }
    Ok(())
}
