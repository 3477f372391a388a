//! The outbox in SQLite: records that writes leave in it, in their own transactions.
//!
//! | file | what |
//! |---|---|
//! | `delivery` | lifecycle events in, due records out, outcomes back |
//! | `delivery_checks` | members who have not acknowledged a message |
//! | `maintenance` | listing, counting, replaying and removing records |
//! | `row` | rows as records |
//! | `store` | the `Outbox` trait on the writer and the readers |

mod delivery;
pub(super) mod delivery_checks;
mod maintenance;
mod row;
mod store;

use rusqlite::{Connection, params};

use super::{batch::Batch, column::Seq};
use crate::{
    EntryKind, NewEntry, OutboxOptions, RecordKind, RoomId, RoomRow,
    outbox::{RecordContent, new_record_id},
    rows,
};

/// Follows a new entry: records a message, changes the records of an edited one, removes those of a deleted
/// one.
pub(super) fn appended(batch: &mut Batch<'_>, entry: &NewEntry, seq: u64) -> rusqlite::Result<()> {
    match (entry.kind, entry.target) {
        (EntryKind::Message, _) => message(batch, entry, seq),
        (EntryKind::Edit, Some(target)) => message_edited(batch.conn, entry, target),
        (EntryKind::Delete, Some(target)) => message_deleted(batch.conn, entry.room, target),
        _ => Ok(()),
    }
}

fn message(batch: &mut Batch<'_>, entry: &NewEntry, seq: u64) -> rusqlite::Result<()> {
    let options = batch.outbox;
    if options.sinks.is_empty() {
        return Ok(());
    }
    let conn = batch.conn;
    let Some(room) = batch.room(entry.room)? else {
        return Ok(());
    };
    let content = RecordContent {
        seq: Some(seq),
        user_id: Some(&entry.user_id),
        user_name: entry.user_name.as_deref(),
        client_id: entry.client_id.as_deref(),
        body: Some(&entry.body),
        ..RecordContent::of_room(&room.row)
    };
    let mut written = write(conn, options, RecordKind::MessageCreated, entry.at, &content)?;
    if options.wants(RecordKind::MessageUndelivered) {
        delivery_checks::schedule(conn, options, entry, seq)?;
        written = true;
    }
    batch.recorded |= written;
    Ok(())
}

/// Gives the records of an edited message its new text.
fn message_edited(conn: &Connection, edit: &NewEntry, target: u64) -> rusqlite::Result<()> {
    if let Some(body) = &edit.replacement {
        conn.prepare_cached("UPDATE outbox SET body = ?1 WHERE room_id = ?2 AND seq = ?3")?
            .execute(params![body, edit.room, Seq(target)])?;
    }
    Ok(())
}

/// Removes all records that hold the text of a deleted message, whatever their state.
fn message_deleted(conn: &Connection, room: RoomId, seq: u64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM outbox WHERE room_id = ?1 AND seq = ?2")?
        .execute(params![room, Seq(seq)])?;
    Ok(())
}

/// Removes all records that hold the text of a deleted room's messages.
pub(super) fn room_deleted(conn: &Connection, room: RoomId) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "DELETE FROM outbox WHERE room_id = ?1 AND seq IS NOT NULL OR room_id = ?1 AND kind = 6",
    )?
    .execute([room])?;
    Ok(())
}

/// Records a new room. Internal rooms have no records.
pub(super) fn created(batch: &mut Batch<'_>, room: &RoomRow) -> rusqlite::Result<()> {
    if rows::is_internal(&room.name) {
        return Ok(());
    }
    let content = RecordContent::of_room(room);
    let (conn, options) = (batch.conn, batch.outbox);
    batch.recorded |= write(conn, options, RecordKind::RoomCreated, room.created_at, &content)?;
    Ok(())
}

/// Removes a member from pending records of messages up to `mark`, which they have acknowledged.
pub(super) fn acknowledged(
    batch: &mut Batch<'_>,
    room: RoomId,
    user: &str,
    mark: u64,
) -> rusqlite::Result<()> {
    const RECIPIENT: &str = "DELETE FROM outbox_recipients
        WHERE room_id = ?1 AND user_id = ?2 AND seq <= ?3 AND (SELECT state FROM outbox WHERE n = record) = 0
        RETURNING record";
    const EMPTY: &str = "DELETE FROM outbox
        WHERE n = ?1 AND NOT EXISTS (SELECT 1 FROM outbox_recipients WHERE record = ?1)";
    if !batch.outbox.wants(RecordKind::MessageUndelivered) {
        return Ok(());
    }
    let records: Vec<i64> = batch
        .conn
        .prepare_cached(RECIPIENT)?
        .query_map(params![room, user, Seq(mark)], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for record in records {
        batch.conn.prepare_cached(EMPTY)?.execute([record])?;
    }
    Ok(())
}

/// Writes a record for each sink that wants it, with its recipients. Returns whether any sink does.
pub(super) fn write(
    conn: &Connection,
    options: &OutboxOptions,
    kind: RecordKind,
    at: i64,
    content: &RecordContent<'_>,
) -> rusqlite::Result<bool> {
    const SQL: &str = "INSERT INTO outbox (id, sink, kind, at, due_at, room_id, room, epoch, seq,
            user_id, user_name, client_id, body, bytes)
        VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    const RECIPIENT: &str =
        "INSERT INTO outbox_recipients (record, user_id, room_id, seq) VALUES (?1, ?2, ?3, ?4)";
    let mut id = None;
    for sink in options.sinks.iter().filter(|sink| sink.kinds.contains(&kind)) {
        let id: &String = id.get_or_insert_with(new_record_id);
        conn.prepare_cached(SQL)?.execute(params![
            id,
            sink.name,
            kind,
            at,
            content.room_id,
            content.room,
            content.epoch,
            content.seq.map(Seq),
            content.user_id,
            content.user_name,
            content.client_id,
            content.body,
            Seq(content.bytes())
        ])?;
        let record = conn.last_insert_rowid();
        for user in content.recipients {
            conn.prepare_cached(RECIPIENT)?.execute(params![
                record,
                user,
                content.room_id,
                content.seq.map(Seq)
            ])?;
        }
    }
    Ok(id.is_some())
}
