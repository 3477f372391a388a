//! A transaction under way, with what it has learnt about the rooms it touches.
//!
//! Heads are read once per batch and written back once at its end, however many entries a room gets. They live no
//! longer than the transaction, so a rollback has nothing to undo here.

use std::{
    collections::{HashMap, hash_map},
    ops::Range,
};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{column::Seq, sessions};
use crate::{Options, OutboxOptions, Retention, RoomId, RoomRow, tail::Tail};

/// The columns of a [`RoomRow`], as [`room_row`] reads them.
pub(super) const ROOM_COLUMNS: &str =
    "r.id, r.name, r.epoch, r.head, r.first, r.created_at, r.kind, r.history";

pub(super) struct Batch<'c> {
    pub(super) conn: &'c Connection,
    pub(super) retention: Retention,
    /// Different reactions that one message may have.
    pub(super) reactions: u32,
    pub(super) outbox: &'c OutboxOptions,
    /// Whether something was written to the outbox.
    pub(super) recorded: bool,
    /// The newest position in the order of all entries, once an append has asked for it.
    pos: Option<u64>,
    rooms: HashMap<RoomId, Tail>,
}

/// Deletes up to `limit` of the room's rows that are no longer kept. Answers how many.
pub(super) fn sweep(conn: &Connection, tail: &mut Tail, limit: u64) -> rusqlite::Result<u64> {
    let span = tail.sweep(limit);
    remove(conn, tail.row.id, &span)
}

fn remove(conn: &Connection, room: RoomId, span: &Range<u64>) -> rusqlite::Result<u64> {
    let mut removed = 0;
    if span.is_empty() {
        return Ok(0);
    }
    for delete in [
        "DELETE FROM message_states WHERE room_id = ?1 AND seq >= ?2 AND seq < ?3",
        "DELETE FROM reactions WHERE room_id = ?1 AND seq >= ?2 AND seq < ?3",
        "DELETE FROM reaction_counts WHERE room_id = ?1 AND seq >= ?2 AND seq < ?3",
        "DELETE FROM mentions WHERE room_id = ?1 AND seq >= ?2 AND seq < ?3",
        "DELETE FROM entries WHERE room_id = ?1 AND seq >= ?2 AND seq < ?3",
    ] {
        let mut delete = conn.prepare_cached(delete)?;
        removed = delete.execute(params![room, Seq(span.start), Seq(span.end)])?;
    }
    Ok(removed as u64)
}

impl<'c> Batch<'c> {
    pub(super) fn new(conn: &'c Connection, options: &'c Options) -> Self {
        Self {
            conn,
            retention: options.retention,
            reactions: options.reactions,
            outbox: &options.outbox,
            recorded: false,
            pos: None,
            rooms: HashMap::new(),
        }
    }

    /// The room as this batch has left it so far.
    pub(super) fn room(&mut self, id: RoomId) -> rusqlite::Result<Option<&mut Tail>> {
        match self.rooms.entry(id) {
            hash_map::Entry::Occupied(entry) => Ok(Some(entry.into_mut())),
            hash_map::Entry::Vacant(entry) => Ok(load(self.conn, id)?.map(|tail| entry.insert(tail))),
        }
    }

    /// The room was removed: what this batch knew of it is not to be written back.
    pub(super) fn forget_room(&mut self, id: RoomId) {
        self.rooms.remove(&id);
    }

    /// The position for the next entry of whichever room; taken only by [`Self::placed`].
    pub(super) fn next_pos(&mut self) -> rusqlite::Result<u64> {
        let pos = match self.pos {
            Some(pos) => pos,
            None => sessions::position(self.conn)?.position.0,
        };
        self.pos = Some(pos);
        Ok(pos + 1)
    }

    /// An entry was stored at the next position.
    pub(super) fn placed(&mut self) {
        self.pos = self.pos.map(|pos| pos + 1);
    }

    /// Writes back what changed. Each room it appended to is also swept, by more than it grew and with a bound.
    /// Answers the newest position, if it appended.
    pub(super) fn flush(self) -> rusqlite::Result<Option<u64>> {
        if let Some(pos) = self.pos {
            self.conn
                .prepare_cached("UPDATE log_head SET position = ?1")?
                .execute([Seq(pos)])?;
        }
        for mut tail in self.rooms.into_values() {
            let span = tail.sweep_along();
            remove(self.conn, tail.row.id, &span)?;
            if tail.changed {
                const SQL: &str = "UPDATE rooms
                    SET head = ?2, first = ?3, swept = ?4, last_message = ?5, active_at = ?6 WHERE id = ?1";
                self.conn.prepare_cached(SQL)?.execute(params![
                    tail.row.id,
                    Seq(tail.row.head),
                    Seq(tail.row.first),
                    Seq(tail.swept),
                    Seq(tail.last_message),
                    tail.active_at
                ])?;
            }
        }
        Ok(self.pos)
    }
}

fn load(conn: &Connection, id: RoomId) -> rusqlite::Result<Option<Tail>> {
    let sql =
        format!("SELECT {ROOM_COLUMNS}, r.swept, r.last_message, r.active_at FROM rooms r WHERE r.id = ?1");
    let tail = |row: &Row<'_>| {
        Ok(Tail {
            row: room_row(row)?,
            swept: row.get::<_, Seq>(8)?.0,
            last_message: row.get::<_, Seq>(9)?.0,
            active_at: row.get(10)?,
            appended: 0,
            changed: false,
        })
    };
    conn.prepare_cached(&sql)?.query_row([id], tail).optional()
}

pub(super) fn room_row(row: &Row<'_>) -> rusqlite::Result<RoomRow> {
    Ok(RoomRow {
        id: row.get(0)?,
        name: row.get(1)?,
        epoch: row.get(2)?,
        head: row.get::<_, Seq>(3)?.0,
        first: row.get::<_, Seq>(4)?.0,
        created_at: row.get(5)?,
        kind: row.get(6)?,
        history: row.get::<_, Option<Seq>>(7)?.map(|Seq(most)| most),
    })
}
