//! A transaction in progress, with the bounds of the rooms that it touches.
//!
//! It reads the bounds of a room once and writes them back once, however many entries the room gets. They
//! live no longer than the transaction, so a rollback has nothing to undo here.

use std::{collections::hash_map, mem};

use foldhash::{HashMap, HashMapExt as _};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{column::Seq, log_head, statement::execute};
use crate::{
    LogPosition, Options, OutboxOptions, Quotas, Retention, RoomId, RoomRow,
    append::{self, Limits, Plan, Reservations, RoomBounds, Sweep},
};

/// The columns of a [`RoomRow`], as [`room_row`] reads them.
pub(super) const ROOM_COLUMNS: &str =
    "r.id, r.name, r.epoch, r.head, r.first, r.created_at, r.kind, r.history";

pub(super) struct Batch<'c> {
    pub(super) conn: &'c Connection,
    pub(super) retention: Retention,
    /// Different reactions that one message may have.
    pub(super) reactions: u32,
    pub(super) quotas: Quotas,
    /// What users may append without a look into the database.
    pub(super) reservations: &'c mut Reservations,
    /// True if the store is known to have no sanction, rule, block or erasure. Whatever adds one sets it to
    /// false.
    pub(super) unmoderated: &'c mut bool,
    pub(super) outbox: &'c OutboxOptions,
    /// Entries that were rejected for a quota: for the bytes of the day, and for the edits of a message.
    pub(super) rejected: [u64; 2],
    /// True once something was written to the outbox.
    pub(super) recorded: bool,
    /// True once text was deleted that must leave the disk.
    pub(super) erased: bool,
    /// The newest position, once an append has asked for it.
    position: Option<LogPosition>,
    rooms: HashMap<RoomId, RoomBounds>,
}

/// Deletes the rows of a sweep. Answers how many entries it deleted.
pub(super) fn sweep(conn: &Connection, sweep: Option<&Sweep>) -> rusqlite::Result<u64> {
    let mut deleted = 0;
    for statement in sweep.into_iter().flat_map(append::sweep) {
        // The entries come last.
        deleted = execute(conn, &statement)?;
    }
    Ok(deleted as u64)
}

impl<'c> Batch<'c> {
    pub(super) fn new(
        conn: &'c Connection,
        options: &'c Options,
        reservations: &'c mut Reservations,
        unmoderated: &'c mut bool,
    ) -> Self {
        Self {
            conn,
            retention: options.retention,
            reactions: options.reactions,
            quotas: options.quotas,
            reservations,
            unmoderated,
            outbox: &options.outbox,
            rejected: [0; 2],
            recorded: false,
            erased: false,
            position: None,
            rooms: HashMap::new(),
        }
    }

    /// The room as this batch has left it so far.
    pub(super) fn room(&mut self, id: RoomId) -> rusqlite::Result<Option<&mut RoomBounds>> {
        match self.rooms.entry(id) {
            hash_map::Entry::Occupied(entry) => Ok(Some(entry.into_mut())),
            hash_map::Entry::Vacant(entry) => Ok(load(self.conn, id)?.map(|room| entry.insert(room))),
        }
    }

    /// Forgets a room that was deleted, so that it is not written back.
    pub(super) fn forget_room(&mut self, id: RoomId) {
        self.rooms.remove(&id);
    }

    /// The newest position.
    pub(super) fn position(&mut self) -> rusqlite::Result<LogPosition> {
        let position = match self.position {
            Some(position) => position,
            None => log_head::read(self.conn)?.position,
        };
        self.position = Some(position);
        Ok(position)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            retention: self.retention,
            reactions: self.reactions,
            edits: self.quotas.edits,
        }
    }

    /// Counts entries that a plan has rejected for a quota.
    pub(super) fn over_quota(&mut self, rejected: [u64; 2]) {
        for (all, more) in self.rejected.iter_mut().zip(rejected) {
            *all += more;
        }
    }

    /// Hands all rooms of this batch to a plan, these among them if they exist. [`Self::take_back`] returns
    /// them.
    pub(super) fn lend_rooms(&mut self, rooms: &[RoomId]) -> rusqlite::Result<HashMap<RoomId, RoomBounds>> {
        for room in rooms {
            self.room(*room)?;
        }
        Ok(mem::take(&mut self.rooms))
    }

    /// Takes back the rooms, and the position, as a plan has left them.
    pub(super) fn take_back(&mut self, plan: Plan<'_>) {
        self.rooms = plan.rooms;
        self.position = Some(plan.position);
    }

    /// Writes back what changed, and sweeps the rooms that it appended to. Answers the newest position, if
    /// an append asked for it.
    pub(super) fn flush(self) -> rusqlite::Result<Option<u64>> {
        let position = self.position.map(|position| position.0);
        if let Some(position) = position {
            self.conn
                .prepare_cached("UPDATE log_head SET position = ?1")?
                .execute([Seq(position)])?;
        }
        for mut room in self.rooms.into_values() {
            sweep(self.conn, room.sweep_after_append(&self.retention).as_ref())?;
            if room.changed {
                const SQL: &str = "UPDATE rooms
                    SET head = ?2, first = ?3, swept = ?4, last_message = ?5, active_position = ?6,
                        messages = ?7, deletions = ?8 WHERE id = ?1";
                self.conn.prepare_cached(SQL)?.execute(params![
                    room.row.id,
                    Seq(room.row.head),
                    Seq(room.row.first),
                    Seq(room.swept),
                    Seq(room.last_message),
                    Seq(room.active_position.0),
                    Seq(room.messages),
                    Seq(room.deletions)
                ])?;
            }
        }
        Ok(position)
    }
}

fn load(conn: &Connection, id: RoomId) -> rusqlite::Result<Option<RoomBounds>> {
    let sql = format!(
        "SELECT {ROOM_COLUMNS}, r.swept, r.last_message, r.active_position, r.messages, r.deletions
         FROM rooms r WHERE r.id = ?1"
    );
    let bounds = |row: &Row<'_>| {
        Ok(RoomBounds {
            row: room_row(row)?,
            swept: row.get::<_, Seq>(8)?.0,
            last_message: row.get::<_, Seq>(9)?.0,
            active_position: LogPosition(row.get::<_, Seq>(10)?.0),
            messages: row.get::<_, Seq>(11)?.0,
            deletions: row.get::<_, Seq>(12)?.0,
            appended: 0,
            appended_at: i64::MIN,
            changed: false,
        })
    };
    conn.prepare_cached(&sql)?.query_row([id], bounds).optional()
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
