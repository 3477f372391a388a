//! The outbox in SQLite. Here is what a write leaves in it, in its own transaction; `delivery` is what the sinks' side
//! asks, `delivery_checks` who has not got a message, `maintenance` what operators ask and what is removed.

mod delivery;
mod delivery_checks;
mod maintenance;
mod row;
mod store;

use rand::RngExt as _;
use rusqlite::{Connection, params};

use super::{batch::Batch, column::Seq};
use crate::{EntryKind, NewEntry, OutboxOptions, RecordKind, RoomId, RoomRow, rows};

/// What a record tells, beside its kind and time.
#[derive(Default)]
struct Facts<'a> {
    room_id: Option<RoomId>,
    room: Option<&'a str>,
    epoch: Option<&'a str>,
    seq: Option<u64>,
    user_id: Option<&'a str>,
    user_name: Option<&'a str>,
    client_id: Option<&'a str>,
    recipient: Option<&'a str>,
    body: Option<&'a str>,
}

impl<'a> Facts<'a> {
    fn of_room(room: &'a RoomRow) -> Self {
        Self {
            room_id: Some(room.id),
            room: Some(&room.name),
            epoch: Some(&room.epoch),
            ..Self::default()
        }
    }
}

/// A message got the number `seq`.
pub(super) fn appended(batch: &mut Batch<'_>, entry: &NewEntry, seq: u64) -> rusqlite::Result<()> {
    let options = batch.outbox;
    if options.sinks.is_empty() || entry.kind != EntryKind::Message {
        return Ok(());
    }
    let conn = batch.conn;
    let Some(room) = batch.room(entry.room)? else {
        return Ok(());
    };
    let facts = Facts {
        seq: Some(seq),
        user_id: Some(&entry.user_id),
        user_name: entry.user_name.as_deref(),
        client_id: entry.client_id.as_deref(),
        body: Some(&entry.body),
        ..Facts::of_room(&room.row)
    };
    let mut written = write(conn, options, RecordKind::MessageCreated, entry.at, &facts)?;
    if wants(options, RecordKind::MessageUndelivered) {
        delivery_checks::watch(conn, options, entry, seq)?;
        written = true;
    }
    batch.recorded |= written;
    Ok(())
}

/// A room was created.
pub(super) fn created(batch: &mut Batch<'_>, room: &RoomRow) -> rusqlite::Result<()> {
    if rows::is_internal(&room.name) {
        return Ok(());
    }
    let facts = Facts::of_room(room);
    let (conn, options) = (batch.conn, batch.outbox);
    batch.recorded |= write(conn, options, RecordKind::RoomCreated, room.created_at, &facts)?;
    Ok(())
}

/// A member has acknowledged all up to `mark`: what still waits to tell the contrary is taken back.
pub(super) fn acknowledged(
    batch: &mut Batch<'_>,
    room: RoomId,
    user: &str,
    mark: u64,
) -> rusqlite::Result<()> {
    const SQL: &str = "DELETE FROM outbox WHERE state = 0 AND room_id = ?1 AND recipient = ?2 AND seq <= ?3";
    if wants(batch.outbox, RecordKind::MessageUndelivered) {
        batch
            .conn
            .prepare_cached(SQL)?
            .execute(params![room, user, Seq(mark)])?;
    }
    Ok(())
}

fn wants(options: &OutboxOptions, kind: RecordKind) -> bool {
    options.sinks.iter().any(|sink| sink.kinds.contains(&kind))
}

/// Writes a record for each sink that wants it. Answers whether any did.
fn write(
    conn: &Connection,
    options: &OutboxOptions,
    kind: RecordKind,
    at: i64,
    facts: &Facts<'_>,
) -> rusqlite::Result<bool> {
    const SQL: &str = "INSERT INTO outbox (id, sink, kind, at, due_at, room_id, room, epoch, seq,
            user_id, user_name, client_id, recipient, body)
        VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let mut id = None;
    for sink in options.sinks.iter().filter(|sink| sink.kinds.contains(&kind)) {
        let id: &String = id.get_or_insert_with(new_id);
        conn.prepare_cached(SQL)?.execute(params![
            id,
            sink.name,
            kind,
            at,
            facts.room_id,
            facts.room,
            facts.epoch,
            facts.seq.map(Seq),
            facts.user_id,
            facts.user_name,
            facts.client_id,
            facts.recipient,
            facts.body
        ])?;
    }
    Ok(id.is_some())
}

/// 128 random bits.
fn new_id() -> String {
    format!("evt_{:032x}", rand::rng().random::<u128>())
}
