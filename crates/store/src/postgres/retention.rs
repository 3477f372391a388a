//! Removing what is too old or too much, in bites that hold a room's lock for a few milliseconds.

use super::{
    append::SWEEPS,
    conn::Conn,
    failure::Failure,
    rooms,
    value::{Columns as _, num},
};
use crate::{Retention, RoomId};

/// Entries one commit looks at and deletes at most.
const BITE: u64 = 256;

/// Rooms after `after`, in the order of their ids, that have something to remove; a few at a time.
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
    /// Whether the room has more to remove.
    pub(super) more: bool,
}

/// Removes a bite of one room's entries. Those from before `cutoff` are too old.
pub(super) async fn trim(
    conn: &Conn,
    room: RoomId,
    limits: Retention,
    cutoff: i64,
) -> Result<Trimmed, Failure> {
    conn.begin().await?;
    let Some(mut tail) = rooms::lock(conn, room).await? else {
        conn.roll_back().await?;
        return Ok(Trimmed {
            removed: 0,
            more: false,
        });
    };
    tail.keep_newest(limits.max_entries);
    let end = tail.row.first.saturating_add(BITE).min(tail.row.head + 1);
    let first = young(conn, room, tail.row.first, end, cutoff).await?;
    tail.keep_from(first);
    let span = tail.sweep(BITE);
    let mut removed = 0;
    if !span.is_empty() {
        for sql in SWEEPS {
            removed = conn.run(sql, &[&room, &num(span.start), &num(span.end)]).await?;
        }
    }
    rooms::write_back(conn, &tail).await?;
    conn.commit().await?;
    // All that it looked at was too old: there may be more of it behind.
    let more = tail.swept < tail.row.first || (first == end && end <= tail.row.head);
    Ok(Trimmed { removed, more })
}

/// The first entry from `start` on that is not too old, or `end`. Only a prefix may go: the log has no holes.
async fn young(conn: &Conn, room: RoomId, start: u64, end: u64, cutoff: i64) -> Result<u64, Failure> {
    const SQL: &str = "SELECT seq FROM entries
        WHERE room_id = $1 AND seq >= $2 AND seq < $3 AND at >= $4 ORDER BY seq LIMIT 1";
    let found = conn.row(SQL, &[&room, &num(start), &num(end), &cutoff]).await?;
    found.map_or(Ok(end), |row| row.num(0))
}
