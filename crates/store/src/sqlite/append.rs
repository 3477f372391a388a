//! Numbering and storing new entries, and recognising those that come again.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    batch::Batch,
    column::Seq,
    outbox,
    writer::{Weight, Write},
};
use crate::{Appended, EntryKind, NewEntry, Rejected};

pub(super) struct Append(pub(super) Vec<NewEntry>);

impl Write for Append {
    type Answer = Vec<Result<Appended, Rejected>>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Self::Answer> {
        self.0.iter().map(|entry| append(batch, entry)).collect()
    }

    fn weight(&self) -> Weight {
        let bytes = |entry: &NewEntry| {
            let name = entry.user_name.as_ref().map_or(0, String::len);
            let client_id = entry.client_id.as_ref().map_or(0, String::len);
            size_of::<NewEntry>() + entry.user_id.len() + entry.body.len() + name + client_id
        };
        Weight {
            writes: self.0.len(),
            bytes: self.0.iter().map(bytes).sum(),
        }
    }
}

fn append(batch: &mut Batch<'_>, entry: &NewEntry) -> rusqlite::Result<Result<Appended, Rejected>> {
    let (conn, max_entries) = (batch.conn, batch.retention.max_entries);
    let Some(room) = batch.room(entry.room)? else {
        return Ok(Err(Rejected::NoSuchRoom));
    };
    let seq = room.next();
    if !insert(conn, entry, seq)? {
        match earlier(conn, entry)? {
            Some(known) if known.seq >= room.row.first => return Ok(known.compare(entry)),
            // It is no longer kept, only not swept yet: this is a new entry, as it would be after the sweep.
            Some(known) => {
                conn.prepare_cached("DELETE FROM entries WHERE room_id = ?1 AND seq = ?2")?
                    .execute(params![entry.room, Seq(known.seq)])?;
            }
            None => {}
        }
        insert(conn, entry, seq)?;
    }
    room.append(max_entries);
    outbox::appended(batch, entry, seq)?;
    Ok(Ok(Appended::New { seq, at: entry.at }))
}

/// Answers whether the entry is in, or else its client id is taken.
fn insert(conn: &Connection, entry: &NewEntry, seq: u64) -> rusqlite::Result<bool> {
    const SQL: &str = "INSERT INTO entries (room_id, seq, kind, at, user_id, client_id, user_name, body)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (room_id, user_id, client_id) WHERE client_id IS NOT NULL DO NOTHING";
    let NewEntry {
        room,
        kind,
        user_id,
        user_name,
        client_id,
        body,
        at,
    } = entry;
    let rows = conn.prepare_cached(SQL)?.execute(params![
        room,
        Seq(seq),
        kind,
        at,
        user_id,
        client_id,
        user_name,
        body
    ])?;
    Ok(rows == 1)
}

/// What is stored under a client id.
struct Known {
    seq: u64,
    at: i64,
    kind: EntryKind,
    body: String,
}

impl Known {
    fn compare(&self, entry: &NewEntry) -> Result<Appended, Rejected> {
        if self.kind == entry.kind && self.body == entry.body {
            Ok(Appended::Duplicate {
                seq: self.seq,
                at: self.at,
            })
        } else {
            Err(Rejected::Conflict { seq: self.seq })
        }
    }
}

fn earlier(conn: &Connection, entry: &NewEntry) -> rusqlite::Result<Option<Known>> {
    const SQL: &str = "SELECT seq, at, kind, body FROM entries
        WHERE room_id = ?1 AND user_id = ?2 AND client_id = ?3";
    conn.prepare_cached(SQL)?
        .query_row(params![entry.room, entry.user_id, entry.client_id], |row| {
            Ok(Known {
                seq: row.get::<_, Seq>(0)?.0,
                at: row.get(1)?,
                kind: row.get(2)?,
                body: row.get(3)?,
            })
        })
        .optional()
}
