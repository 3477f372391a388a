//! Numbering and storing new entries, and recognising those that come again.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    batch::Batch,
    changes,
    column::Seq,
    outbox, rooms,
    writer::{Weight, Write},
};
use crate::{
    AppendResult, Appended, EntryKind, LogPosition, NewEntry, Rejected, RoomId, dedup_record::DedupRecord,
};

pub(super) struct Append(pub(super) Vec<NewEntry>);

impl Write for Append {
    type Answer = AppendResult;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<AppendResult> {
        let pos = batch.next_pos()?;
        let results = self.0.iter().map(|entry| append(batch, entry));
        let results = results.collect::<rusqlite::Result<_>>()?;
        Ok(AppendResult {
            results,
            first_position: LogPosition(pos),
        })
    }

    fn weight(&self) -> Weight {
        Weight {
            writes: self.0.len(),
            bytes: self.0.iter().map(NewEntry::weight).sum(),
        }
    }
}

/// Removes a room, and appends an entry that says so.
pub(super) struct Remove {
    pub(super) room: RoomId,
    pub(super) control: NewEntry,
}

impl Write for Remove {
    type Answer = AppendResult;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<AppendResult> {
        let pos = batch.next_pos()?;
        let result = if batch.room(self.room)?.is_some() {
            let appended = append(batch, &self.control)?;
            if appended.is_ok() {
                rooms::Delete(self.room).apply(batch)?;
            }
            appended
        } else {
            Err(Rejected::NoSuchRoom)
        };
        let results = vec![result];
        Ok(AppendResult {
            results,
            first_position: LogPosition(pos),
        })
    }
}

fn append(batch: &mut Batch<'_>, entry: &NewEntry) -> rusqlite::Result<Result<Appended, Rejected>> {
    let (conn, max_entries, reactions) = (batch.conn, batch.retention.max_entries, batch.reactions);
    let pos = batch.next_pos()?;
    let Some(room) = batch.room(entry.room)? else {
        return Ok(Err(Rejected::NoSuchRoom));
    };
    if entry.kind.is_change() {
        // A retry is recognised first: what it once did may be why it could not be done now.
        if let Some(known) = earlier(conn, entry)?.filter(|known| known.seq >= room.row.first) {
            return Ok(known.compare(entry));
        }
        if let Err(outcome) = changes::check(conn, entry, room.row.first, reactions)? {
            return Ok(outcome);
        }
    }
    let seq = room.next();
    if !insert(conn, entry, seq, pos)? {
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is(crate::planted::Bug::DuplicateOnRetry) {
            let anew = NewEntry {
                client_id: None,
                ..entry.clone()
            };
            return append(batch, &anew);
        }
        match earlier(conn, entry)? {
            Some(known) if known.seq >= room.row.first => return Ok(known.compare(entry)),
            // It is no longer kept, only not swept yet: this is a new entry, as it would be after the sweep.
            Some(known) => {
                conn.prepare_cached("DELETE FROM entries WHERE room_id = ?1 AND seq = ?2")?
                    .execute(params![entry.room, Seq(known.seq)])?;
            }
            None => {}
        }
        insert(conn, entry, seq, pos)?;
    }
    room.append(max_entries);
    if entry.kind == EntryKind::Message {
        room.said(entry.at);
    }
    batch.placed();
    changes::apply(conn, entry, seq)?;
    outbox::appended(batch, entry, seq)?;
    Ok(Ok(Appended::New { seq, at: entry.at }))
}

/// Answers whether the entry is in, or else its client id is taken.
fn insert(conn: &Connection, entry: &NewEntry, seq: u64, pos: u64) -> rusqlite::Result<bool> {
    const SQL: &str =
        "INSERT INTO entries (room_id, seq, kind, at, user_id, client_id, user_name, body, target, position)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
        ON CONFLICT (room_id, user_id, client_id) WHERE client_id IS NOT NULL DO NOTHING";
    let NewEntry {
        room,
        kind,
        target,
        user_id,
        user_name,
        client_id,
        body,
        mentions: _,
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
        body,
        target.map(Seq),
        Seq(pos)
    ])?;
    Ok(rows == 1)
}

fn earlier(conn: &Connection, entry: &NewEntry) -> rusqlite::Result<Option<DedupRecord>> {
    const SQL: &str = "SELECT e.seq, e.at, e.kind, e.target, e.body, e.kind IN (0, 1) AND EXISTS
            (SELECT 1 FROM message_states s
             WHERE s.room_id = e.room_id AND s.seq = coalesce(e.target, e.seq) AND s.deleted = 1)
        FROM entries e WHERE e.room_id = ?1 AND e.user_id = ?2 AND e.client_id = ?3";
    if entry.client_id.is_none() {
        return Ok(None);
    }
    conn.prepare_cached(SQL)?
        .query_row(params![entry.room, entry.user_id, entry.client_id], |row| {
            Ok(DedupRecord {
                seq: row.get::<_, Seq>(0)?.0,
                at: row.get(1)?,
                kind: row.get(2)?,
                target: row.get::<_, Option<Seq>>(3)?.map(|seq| seq.0),
                body: row.get(4)?,
                wiped: row.get(5)?,
            })
        })
        .optional()
}
