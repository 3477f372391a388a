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

/// Rooms after `after`, by id, with entries to remove; a few at a time.
pub(super) async fn due(
    conn: &Conn,
    after: RoomId,
    limits: Retention,
    cutoff: i64,
) -> Result<Vec<RoomId>, Failure> {
    const SQL: &str = "SELECT r.id FROM rooms r LEFT JOIN entries e ON e.room_id = r.id AND e.seq = r.first
        WHERE r.id > $1
            AND (r.head - r.first >= least($2, coalesce(r.history, $2)) OR e.at < $3 OR r.swept < r.first)
        ORDER BY r.id LIMIT 64";
    let rows = conn
        .rows(SQL, &[&after, &num(limits.max_entries), &cutoff])
        .await?;
    rows.iter().map(|row| row.int(0)).collect()
}

pub(super) struct Trimmed {
    pub(super) removed: u64,
    /// True if the room has more to delete.
    pub(super) more: bool,
}

/// Removes entries of one room, one commit's worth. Entries from before `cutoff` are old.
pub(super) async fn trim(
    conn: &Conn,
    room: RoomId,
    limits: Retention,
    cutoff: i64,
) -> Result<Trimmed, Failure> {
    conn.begin().await?;
    let Some(mut bounds) = rooms::lock(conn, room).await? else {
        conn.roll_back().await?;
        return Ok(Trimmed {
            removed: 0,
            more: false,
        });
    };
    bounds.keep_newest(limits.max_entries);
    let end = bounds
        .row
        .first
        .saturating_add(TRIM_BATCH)
        .min(bounds.row.head + 1);
    let first = young(conn, room, bounds.row.first, end, cutoff).await?;
    bounds.keep_from(first);
    let span = bounds.sweep(TRIM_BATCH);
    let mut removed = 0;
    if !span.is_empty() {
        for statement in append::sweep(room, &span) {
            // The entries come last.
            removed = conn.step(&Step::from(statement)).await?;
        }
    }
    rooms::write_back(conn, &bounds).await?;
    conn.commit().await?;
    // All inspected entries were old, so the next ones may be too.
    let more = bounds.swept < bounds.row.first || (first == end && end <= bounds.row.head);
    Ok(Trimmed { removed, more })
}

/// The first entry from `start` on that is not old, or `end`. Only a prefix is removed: the log has no holes.
async fn young(conn: &Conn, room: RoomId, start: u64, end: u64, cutoff: i64) -> Result<u64, Failure> {
    const SQL: &str = "SELECT seq FROM entries
        WHERE room_id = $1 AND seq >= $2 AND seq < $3 AND at >= $4 ORDER BY seq LIMIT 1";
    let found = conn.row(SQL, &[&room, &num(start), &num(end), &cutoff]).await?;
    found.map_or(Ok(end), |row| row.num(0))
}
