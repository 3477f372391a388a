//! Rows of the outbox as records.

use rusqlite::{Connection, Row};

use super::super::column::Seq;
use crate::{Record, RecordKind};

/// The columns of a [`Record`], as [`record`] reads them.
pub(super) const COLUMNS: &str =
    "n, id, sink, kind, at, state, attempts, due_at, last_error, room, epoch, seq, user_id,
    user_name, client_id, body";

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
        recipients: Vec::new(),
        body: row.get(15)?,
    })
}

/// Fills in the recipients of records that have some.
pub(super) fn fill_recipients(conn: &Connection, records: &mut [Record]) -> rusqlite::Result<()> {
    const SQL: &str = "SELECT user_id FROM outbox_recipients WHERE record = ?1 ORDER BY user_id";
    for record in records {
        if record.kind == RecordKind::MessageUndelivered {
            record.recipients = conn
                .prepare_cached(SQL)?
                .query_map([record.n], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
        }
    }
    Ok(())
}
