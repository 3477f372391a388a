//! Removal of old and surplus entries, in commits that leave the writer free for others.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    batch::{self, Batch},
    column::Seq,
    statement::execute,
    write::Write,
};
use crate::{Retention, RoomId, append};

/// One commit's worth of a table whose rows expire by age.
pub(super) struct TrimRows {
    /// Deletes at most [`crate::trim::ROWS_PER_COMMIT`] rows from before `$1`.
    pub(super) sql: &'static str,
    pub(super) cutoff: i64,
}

impl Write for TrimRows {
    type Answer = u64;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<u64> {
        let deleted = batch.conn.prepare_cached(self.sql)?.execute([self.cutoff])?;
        batch.erased |= deleted > 0;
        Ok(deleted as u64)
    }
}

/// Entries one commit looks at and deletes at most; a few milliseconds.
const TRIM_BATCH: u64 = 256;

/// Dedup records one commit looks at and deletes at most, for each cause.
const DEDUP_BATCH: u64 = 1_000;

/// Rooms after `after`, by id, with entries or dedup records to remove at the time `now`; a few at a time.
pub(super) fn due(
    conn: &Connection,
    after: RoomId,
    limits: Retention,
    now: i64,
) -> rusqlite::Result<Vec<RoomId>> {
    const SQL: &str = "SELECT r.id FROM rooms r LEFT JOIN entries e ON e.room_id = r.id AND e.seq = r.first
        WHERE r.id > ?1
            AND (r.head - r.first >= min(?2, coalesce(r.history, ?2)) OR e.at < ?3 OR r.swept < r.first
                OR EXISTS (SELECT 1 FROM
                    (SELECT seq, at FROM dedup_records d WHERE d.room_id = r.id ORDER BY seq LIMIT 16) d
                    WHERE d.at < ?4 OR d.seq < r.swept - ?5))
        ORDER BY r.id LIMIT 64";
    let params = params![
        after,
        Seq(limits.max_entries),
        now.saturating_sub(limits.max_age_ms),
        now.saturating_sub(limits.dedup_for_ms),
        Seq(limits.dedup_per_room)
    ];
    conn.prepare_cached(SQL)?
        .query_map(params, |row| row.get(0))?
        .collect()
}

/// Rooms that have been unused since before a time; a few at a time.
pub(super) fn unused_rooms(conn: &Connection, before: i64) -> rusqlite::Result<Vec<RoomId>> {
    conn.prepare_cached("SELECT room_id FROM unused_rooms WHERE since < ?1 ORDER BY since LIMIT 64")?
        .query_map([before], |row| row.get(0))?
        .collect()
}

/// How many dedup records there are.
pub(super) fn count_dedup(conn: &Connection) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT count(*) FROM dedup_records")?
        .query_row([], |row| Ok(row.get::<_, Seq>(0)?.0))
}

/// Removes entries of one room, one commit's worth.
pub(super) struct Trim {
    pub(super) room: RoomId,
    pub(super) limits: Retention,
    /// The time that ages count from.
    pub(super) now: i64,
}

#[derive(Default)]
pub(super) struct Trimmed {
    pub(super) removed: u64,
    /// Dedup records that the room had too many.
    pub(super) dedup_evicted: u64,
    /// True if the room has more to delete.
    pub(super) more: bool,
}

impl Write for Trim {
    type Answer = Trimmed;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Trimmed> {
        let conn = batch.conn;
        let Some(room) = batch.room(self.room)? else {
            return Ok(Trimmed::default());
        };
        room.keep_newest(self.limits.max_entries);
        let end = room.row.first.saturating_add(TRIM_BATCH).min(room.row.head + 1);
        let cutoff = self.now.saturating_sub(self.limits.max_age_ms);
        let first = young(conn, self.room, room.row.first, end, cutoff)?;
        room.trim_before(first);
        let dedup_from = self.now.saturating_sub(self.limits.dedup_for_ms);
        let removed = batch::sweep(conn, room.sweep(TRIM_BATCH, dedup_from).as_ref())?;
        let (swept, kept_from, head) = (room.swept, room.row.first, room.row.head);
        let before = swept.saturating_sub(self.limits.dedup_per_room);
        let [surplus, old] = append::forget_dedup(self.room, before, dedup_from, DEDUP_BATCH);
        let dedup_evicted = execute(conn, &surplus)? as u64;
        let forgotten = dedup_evicted + execute(conn, &old)? as u64;
        batch.erased |= removed > 0;
        // All inspected entries were old, so the next ones may be too.
        let more = swept < kept_from || (first == end && end <= head) || forgotten > 0;
        Ok(Trimmed {
            removed,
            dedup_evicted,
            more,
        })
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
