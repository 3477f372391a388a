//! Removal of old and surplus entries, in commits that hold a room's lock for a few milliseconds.

use super::{
    conn::{Conn, Step},
    failure::Failure,
    rooms,
    value::{Columns as _, num},
};
use crate::{Retention, RoomId, append};

/// Entries one commit looks at and deletes at most.
const TRIM_BATCH: u64 = 256;

/// Dedup records one commit looks at and deletes at most, for each cause.
const DEDUP_BATCH: u64 = 1_000;

/// Rooms after `after`, by id, with entries or dedup records to remove at the time `now`; a few at a time.
pub(super) async fn due(
    conn: &Conn,
    after: RoomId,
    limits: Retention,
    now: i64,
) -> Result<Vec<RoomId>, Failure> {
    const SQL: &str = "SELECT r.id FROM rooms r LEFT JOIN entries e ON e.room_id = r.id AND e.seq = r.first
        WHERE r.id > $1
            AND (r.head - r.first >= least($2, coalesce(r.history, $2)) OR e.at < $3 OR r.swept < r.first
                OR EXISTS (SELECT 1 FROM
                    (SELECT seq, at FROM dedup_records d WHERE d.room_id = r.id ORDER BY seq LIMIT 16) d
                    WHERE d.at < $4 OR d.seq < r.swept - $5))
        ORDER BY r.id LIMIT 64";
    let rows = conn
        .rows(
            SQL,
            &[
                &after,
                &num(limits.max_entries),
                &now.saturating_sub(limits.max_age_ms),
                &now.saturating_sub(limits.dedup_for_ms),
                &num(limits.dedup_per_room),
            ],
        )
        .await?;
    rows.iter().map(|row| row.int(0)).collect()
}

/// Rooms that have been unused since before a time; a few at a time.
pub(super) async fn unused_rooms(conn: &Conn, before: i64) -> Result<Vec<RoomId>, Failure> {
    const SQL: &str = "SELECT room_id FROM unused_rooms WHERE since < $1 ORDER BY since LIMIT 64";
    let rows = conn.rows(SQL, &[&before]).await?;
    rows.iter().map(|row| row.int(0)).collect()
}

/// Deletes counts of daily quotas from before a day, one commit's worth. Returns how many it deleted.
pub(super) async fn forget_usage(conn: &Conn, day: i64) -> Result<u64, Failure> {
    conn.run(append::FORGET_USAGE, &[&day]).await
}

/// About how many dedup records there are: an exact count would read them all.
pub(super) async fn estimate_dedup(conn: &Conn) -> Result<u64, Failure> {
    const SQL: &str =
        "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'dedup_records'::regclass";
    let row = conn.row(SQL, &[]).await?;
    row.map_or(Ok(0), |row| row.num(0))
}

#[derive(Default)]
pub(super) struct Trimmed {
    pub(super) removed: u64,
    /// Dedup records that the room had too many.
    pub(super) dedup_evicted: u64,
    /// True if the room has more to delete.
    pub(super) more: bool,
}

/// Removes entries and dedup records of one room, one commit's worth. Ages count from `now`.
pub(super) async fn trim(conn: &Conn, room: RoomId, limits: Retention, now: i64) -> Result<Trimmed, Failure> {
    conn.begin().await?;
    let Some(mut bounds) = rooms::lock(conn, room).await? else {
        conn.roll_back().await?;
        return Ok(Trimmed::default());
    };
    bounds.keep_newest(limits.max_entries);
    let end = bounds
        .row
        .first
        .saturating_add(TRIM_BATCH)
        .min(bounds.row.head + 1);
    let cutoff = now.saturating_sub(limits.max_age_ms);
    let first = young(conn, room, bounds.row.first, end, cutoff).await?;
    bounds.trim_before(first);
    let dedup_from = now.saturating_sub(limits.dedup_for_ms);
    let sweep = bounds.sweep(TRIM_BATCH, dedup_from);
    let mut removed = 0;
    for statement in sweep.iter().flat_map(append::sweep) {
        // The entries come last.
        removed = conn.step(&Step::from(statement)).await?;
    }
    let before = bounds.swept.saturating_sub(limits.dedup_per_room);
    let [surplus, old] = append::forget_dedup(room, before, dedup_from, DEDUP_BATCH);
    let dedup_evicted = conn.step(&Step::from(surplus)).await?;
    let forgotten = dedup_evicted + conn.step(&Step::from(old)).await?;
    rooms::write_back(conn, &bounds).await?;
    conn.commit().await?;
    // All inspected entries were old, so the next ones may be too.
    let more = bounds.swept < bounds.row.first || (first == end && end <= bounds.row.head) || forgotten > 0;
    Ok(Trimmed {
        removed,
        dedup_evicted,
        more,
    })
}

/// The first entry from `start` on that is not old, or `end`. Only a prefix is removed: the log has no holes.
async fn young(conn: &Conn, room: RoomId, start: u64, end: u64, cutoff: i64) -> Result<u64, Failure> {
    const SQL: &str = "SELECT seq FROM entries
        WHERE room_id = $1 AND seq >= $2 AND seq < $3 AND at >= $4 ORDER BY seq LIMIT 1";
    let found = conn.row(SQL, &[&room, &num(start), &num(end), &cutoff]).await?;
    found.map_or(Ok(end), |row| row.num(0))
}
