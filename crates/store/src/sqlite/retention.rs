//! Removal of old and surplus entries, in commits that leave the writer free for others.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    batch::{self, Batch},
    column::Seq,
    write::Write,
};
use crate::{Retention, RoomId};

/// Entries one commit looks at and deletes at most; a few milliseconds.
const TRIM_BATCH: u64 = 256;

/// Rooms after `after`, by id, with entries to remove; a few at a time.
pub(super) fn due(
    conn: &Connection,
    after: RoomId,
    limits: Retention,
    cutoff: i64,
) -> rusqlite::Result<Vec<RoomId>> {
    const SQL: &str = "SELECT r.id FROM rooms r LEFT JOIN entries e ON e.room_id = r.id AND e.seq = r.first
        WHERE r.id > ?1
            AND (r.head - r.first >= min(?2, coalesce(r.history, ?2)) OR e.at < ?3 OR r.swept < r.first)
        ORDER BY r.id LIMIT 64";
    conn.prepare_cached(SQL)?
        .query_map(params![after, Seq(limits.max_entries), cutoff], |row| row.get(0))?
        .collect()
}

/// Removes entries of one room, one commit's worth.
pub(super) struct Trim {
    pub(super) room: RoomId,
    pub(super) limits: Retention,
    /// Entries from before this time are old.
    pub(super) cutoff: i64,
}

pub(super) struct Trimmed {
    pub(super) removed: u64,
    /// True if the room has more to delete.
    pub(super) more: bool,
}

impl Write for Trim {
    type Answer = Trimmed;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Trimmed> {
        let conn = batch.conn;
        let Some(room) = batch.room(self.room)? else {
            return Ok(Trimmed {
                removed: 0,
                more: false,
            });
        };
        room.keep_newest(self.limits.max_entries);
        let end = room.row.first.saturating_add(TRIM_BATCH).min(room.row.head + 1);
        let first = young(conn, self.room, room.row.first, end, self.cutoff)?;
        room.keep_from(first);
        let removed = batch::sweep(conn, room, TRIM_BATCH)?;
        let (swept, kept_from, head) = (room.swept, room.row.first, room.row.head);
        batch.erased |= removed > 0;
        // All inspected entries were old, so the next ones may be too.
        let more = swept < kept_from || (first == end && end <= head);
        Ok(Trimmed { removed, more })
    }
}

/// The first entry from `start` on that is not old, or `end`. Only a prefix is removed: the log has no holes.
fn young(conn: &Connection, room: RoomId, start: u64, end: u64, cutoff: i64) -> rusqlite::Result<u64> {
    const SQL: &str = "SELECT seq FROM entries
        WHERE room_id = ?1 AND seq >= ?2 AND seq < ?3 AND at >= ?4 ORDER BY seq LIMIT 1";
    let found = conn
        .prepare_cached(SQL)?
        .query_row(params![room, Seq(start), Seq(end), cutoff], |row| {
            Ok(row.get::<_, Seq>(0)?.0)
        })
        .optional()?;
    Ok(found.unwrap_or(end))
}
