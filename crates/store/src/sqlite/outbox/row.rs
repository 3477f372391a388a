//! The rows of the outbox and their columns.

use rusqlite::Row;

use super::super::column::Seq;
use crate::Record;

/// The columns of a [`Record`], as [`record`] reads them.
pub(super) const COLUMNS: &str =
    "n, id, sink, kind, at, state, attempts, due_at, last_error, room, epoch, seq, user_id,
    user_name, client_id, recipient, body";

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        n: row.get(0)?,
        id: row.get(1)?,
        sink: row.get(2)?,
        kind: row.get(3)?,
        at: row.get(4)?,
        state: row.get(5)?,
        attempts: row.get(6)?,
        due_at: row.get(7)?,
        last_error: row.get(8)?,
        room: row.get(9)?,
        epoch: row.get(10)?,
        seq: row.get::<_, Option<Seq>>(11)?.map(|seq| seq.0),
        user_id: row.get(12)?,
        user_name: row.get(13)?,
        client_id: row.get(14)?,
        recipient: row.get(15)?,
        body: row.get(16)?,
    })
}
