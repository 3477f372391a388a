//! Reading by the order of all entries.

use super::{
    conn::Conn,
    entries::{self, COLUMNS, STATE},
    failure::Failure,
    value::{Columns as _, num},
};
use crate::{LogPosition, Missed, PlacedEntry, RoomId};

/// Where the order stands now.
pub(super) async fn read(conn: &Conn) -> Result<LogPosition, Failure> {
    let row = conn
        .one("SELECT epoch, pos FROM log_order WHERE id = 1", &[])
        .await?;
    Ok(LogPosition {
        epoch: row.text(0)?,
        pos: row.num(1)?,
    })
}

/// Entries by position, see [`crate::Sessions::placed`].
pub(super) async fn between(
    conn: &Conn,
    after: u64,
    upto: u64,
    limit: u32,
) -> Result<Vec<PlacedEntry>, Failure> {
    let sql = format!(
        "SELECT e.pos, e.room_id, {COLUMNS} FROM entries e JOIN rooms r ON r.id = e.room_id AND e.seq >= r.first
         {STATE} WHERE e.pos > $1 AND e.pos <= $2 ORDER BY e.pos LIMIT $3"
    );
    conn.begin_snapshot();
    let rows = conn
        .rows(&sql, &[&num(after), &num(upto), &i64::from(limit)])
        .await?;
    let placed = placed(conn, &rows).await?;
    conn.end_snapshot()?;
    Ok(placed)
}

/// See [`crate::Sessions::room_at`].
pub(super) async fn room_at(conn: &Conn, pos: u64) -> Result<Option<RoomId>, Failure> {
    let row = conn
        .row("SELECT room_id FROM entries WHERE pos = $1", &[&num(pos)])
        .await?;
    row.map(|row| row.int(0)).transpose()
}

/// Rows of a position, a room, and an entry.
async fn placed(conn: &Conn, rows: &[tokio_postgres::Row]) -> Result<Vec<PlacedEntry>, Failure> {
    let (mut positions, mut found) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in rows {
        if let Some(entry) = entries::entry(row, 2, row.int(1)?)? {
            positions.push(row.num(0)?);
            found.push(entry);
        }
    }
    entries::fill(conn, &mut found).await?;
    let placed = positions.into_iter().zip(found).map(|(pos, found)| PlacedEntry {
        pos,
        room: found.room,
        entry: found.entry,
    });
    Ok(placed.collect())
}

/// What a session missed, see [`crate::Sessions::missed`].
pub(super) async fn missed(conn: &Conn, ask: &Missed) -> Result<Option<Vec<PlacedEntry>>, Failure> {
    conn.begin_snapshot();
    let missed = within(conn, ask).await?;
    conn.end_snapshot()?;
    Ok(missed)
}

async fn within(conn: &Conn, ask: &Missed) -> Result<Option<Vec<PlacedEntry>>, Failure> {
    const BYTES: &str = "SELECT coalesce(sum(octet_length(e.body)), 0)::bigint
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) t (room_id, low, high)
        CROSS JOIN LATERAL (SELECT e.body FROM entries e
            WHERE e.room_id = t.room_id AND e.seq >= t.low AND e.seq < t.high OFFSET 0) e";
    let Some(spans) = spans(conn, ask).await? else {
        return Ok(None);
    };
    let wanted: u64 = spans.iter().map(|(_, start, end)| end - start).sum();
    if wanted > ask.most as u64 {
        return Ok(None);
    }
    if wanted == 0 {
        return Ok(Some(Vec::new()));
    }
    let column = |of: fn(&(RoomId, u64, u64)) -> i64| spans.iter().map(of).collect::<Vec<_>>();
    let (rooms, starts, ends) = (
        column(|span| span.0),
        column(|span| num(span.1)),
        column(|span| num(span.2)),
    );
    // Before the bodies are fetched: too much is not to be read only to be thrown away.
    let bytes = conn.one(BYTES, &[&rooms, &starts, &ends]).await?.num(0)?;
    if bytes > ask.most_bytes as u64 {
        return Ok(None);
    }
    let sql = format!(
        "SELECT e.pos, e.room_id, {COLUMNS} FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) t (room_id, low, high)
         CROSS JOIN LATERAL (SELECT * FROM entries e
            WHERE e.room_id = t.room_id AND e.seq >= t.low AND e.seq < t.high OFFSET 0) e
         {STATE} ORDER BY e.pos"
    );
    let rows = conn.rows(&sql, &[&rooms, &starts, &ends]).await?;
    let placed = placed(conn, &rows).await?;
    Ok((placed.len() as u64 == wanted).then_some(placed))
}

/// The entries of each room that a session missed, the last one exclusive; `None` if some of them are gone.
async fn spans(conn: &Conn, ask: &Missed) -> Result<Option<Vec<(RoomId, u64, u64)>>, Failure> {
    // Where some were removed, the search begins at the oldest one left.
    const SQL: &str = "SELECT r.id, t.after, r.head, r.first,
            (SELECT e.pos FROM entries e WHERE e.room_id = r.id AND e.seq = r.first),
            first_beyond(r.id, greatest(t.after + 1, r.first), r.head, $3),
            first_beyond(r.id, greatest(t.after + 1, r.first), r.head, $4)
        FROM unnest($1::bigint[], $2::bigint[]) t (room_id, after) JOIN rooms r ON r.id = t.room_id";
    let rooms: Vec<RoomId> = ask.rooms.iter().map(|(room, _)| *room).collect();
    let after: Vec<i64> = ask
        .rooms
        .iter()
        .map(|(_, after)| num(*after).min(i64::MAX - 1))
        .collect();
    let rows = conn
        .rows(SQL, &[&rooms, &after, &num(ask.after), &num(ask.upto)])
        .await?;
    if rows.len() != rooms.len() {
        return Ok(None);
    }
    let mut spans = Vec::new();
    for row in rows {
        let (start, head, first) = (row.num(1)? + 1, row.num(2)?, row.num(3)?);
        if start > head {
            continue;
        }
        // What was removed is known to the session if the oldest one left is.
        let complete = start >= first || row.opt_num(4)?.is_some_and(|oldest| oldest <= ask.after);
        if !complete {
            return Ok(None);
        }
        let (low, high) = (row.num(5)?, row.num(6)?);
        if low < high {
            spans.push((row.int(0)?, low, high));
        }
    }
    Ok(Some(spans))
}
