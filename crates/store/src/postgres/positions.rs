//! Reading entries by position.

use super::{
    conn::Conn,
    entries::{self, COLUMNS, STATE},
    failure::Failure,
    sessions,
    value::{Columns as _, num},
};
use crate::{LogEntry, LogHead, LogPosition, Missed, RoomId};

/// The head of the log.
pub(super) async fn read(conn: &Conn) -> Result<LogHead, Failure> {
    let row = conn
        .one("SELECT epoch, position FROM log_head WHERE id = 1", &[])
        .await?;
    Ok(LogHead {
        epoch: row.text(0)?,
        position: LogPosition(row.num(1)?),
    })
}

/// See [`crate::Log::log_entries`].
pub(super) async fn between(
    conn: &Conn,
    after: LogPosition,
    upto: LogPosition,
    limit: u32,
) -> Result<Vec<LogEntry>, Failure> {
    let sql = format!(
        "SELECT e.position, e.room_id, {COLUMNS} FROM entries e
         JOIN rooms r ON r.id = e.room_id AND e.seq >= r.first
         {STATE} WHERE e.position > $1 AND e.position <= $2 ORDER BY e.position LIMIT $3"
    );
    conn.begin_snapshot();
    let rows = conn
        .rows(&sql, &[&num(after.0), &num(upto.0), &i64::from(limit)])
        .await?;
    let entries = log_entries(conn, &rows).await?;
    conn.end_snapshot()?;
    Ok(entries)
}

/// See [`crate::Log::room_at`].
pub(super) async fn room_at(conn: &Conn, position: LogPosition) -> Result<Option<RoomId>, Failure> {
    let row = conn
        .row(
            "SELECT room_id FROM entries WHERE position = $1",
            &[&num(position.0)],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}

/// Reads rows that consist of a position, a room and an entry.
async fn log_entries(conn: &Conn, rows: &[tokio_postgres::Row]) -> Result<Vec<LogEntry>, Failure> {
    let (mut positions, mut found) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in rows {
        if let Some(entry) = entries::entry(row, 2, row.int(1)?)? {
            positions.push(LogPosition(row.num(0)?));
            found.push(entry);
        }
    }
    entries::fill(conn, &mut found).await?;
    let entries = positions
        .into_iter()
        .zip(found)
        .map(|(position, found)| LogEntry {
            position,
            room: found.room,
            entry: found.entry,
        });
    Ok(entries.collect())
}

/// The entries of each room that a session missed, as half-open spans.
pub(super) type Spans = Vec<(RoomId, u64, u64)>;

/// Reads the spans that a session missed, see [`crate::Sessions::missed`].
pub(super) async fn missed(
    conn: &Conn,
    ask: &Missed,
    spans: &Spans,
) -> Result<Option<Vec<LogEntry>>, Failure> {
    const BYTES: &str = "SELECT coalesce(sum(octet_length(e.body)), 0)::bigint
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) t (room_id, low, high)
        CROSS JOIN LATERAL (SELECT e.body FROM entries e
            WHERE e.room_id = t.room_id AND e.seq >= t.low AND e.seq < t.high OFFSET 0) e";
    let wanted: u64 = spans.iter().map(|(_, start, end)| end - start).sum();
    if wanted > ask.most as u64 {
        return Ok(None);
    }
    let column = |of: fn(&(RoomId, u64, u64)) -> i64| spans.iter().map(of).collect::<Vec<_>>();
    let (rooms, starts, ends) = (
        column(|span| span.0),
        column(|span| num(span.1)),
        column(|span| num(span.2)),
    );
    conn.begin_snapshot();
    // Checked before the bodies are fetched, so that an answer that is too large costs little.
    let bytes = conn.one(BYTES, &[&rooms, &starts, &ends]).await?.num(0)?;
    if bytes > ask.most_bytes as u64 {
        conn.end_snapshot()?;
        return Ok(None);
    }
    let sql = format!(
        "SELECT e.position, e.room_id, {COLUMNS}
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) t (room_id, low, high)
         CROSS JOIN LATERAL (SELECT * FROM entries e
            WHERE e.room_id = t.room_id AND e.seq >= t.low AND e.seq < t.high OFFSET 0) e
         {STATE} ORDER BY e.position"
    );
    let rows = conn.rows(&sql, &[&rooms, &starts, &ends]).await?;
    let entries = log_entries(conn, &rows).await?;
    conn.end_snapshot()?;
    // Retention may have removed some since the spans were read.
    Ok((entries.len() as u64 == wanted).then_some(entries))
}

/// The spans that each session of this node missed; `None` if some entries were removed, or the session is
/// not complete.
pub(super) async fn spans(conn: &Conn, node: i64, asks: Vec<Missed>) -> Result<Vec<Option<Spans>>, Failure> {
    // If some entries were removed, the search begins at the oldest one left.
    const SQL: &str = "SELECT t.ask, r.id, t.after, r.head, r.first,
            (SELECT e.position FROM entries e WHERE e.room_id = r.id AND e.seq = r.first),
            first_seq_beyond(r.id, greatest(t.after + 1, r.first), r.head, t.seen),
            first_seq_beyond(r.id, greatest(t.after + 1, r.first), r.head, t.upto)
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
            t (ask, room_id, after, seen, upto)
        JOIN rooms r ON r.id = t.room_id";
    let (mut indexes, mut rooms, mut after) = (Vec::new(), Vec::new(), Vec::new());
    let (mut seen, mut upto) = (Vec::new(), Vec::new());
    for (index, ask) in (1i64..).zip(&asks) {
        for (room, joined_after) in &ask.rooms {
            indexes.push(index);
            rooms.push(*room);
            after.push(num(*joined_after).min(i64::MAX - 1));
            seen.push(num(ask.after.0));
            upto.push(num(ask.upto.0));
        }
    }
    let rows = conn.rows(SQL, &[&indexes, &rooms, &after, &seen, &upto]).await?;
    let mut found: Vec<(usize, Option<Spans>)> = asks.iter().map(|_| (0, Some(Vec::new()))).collect();
    for row in rows {
        let index = row.ordinal(0)?;
        let (Some(ask), Some((rooms, spans))) = (asks.get(index), found.get_mut(index)) else {
            continue;
        };
        *rooms += 1;
        match span(&row, ask.after)? {
            Some((_, low, high)) if low >= high => {}
            Some(span) => spans.iter_mut().for_each(|spans| spans.push(span)),
            None => *spans = None,
        }
    }
    let checked: Vec<_> = asks.iter().filter_map(|ask| ask.session).collect();
    let sessions = sessions::complete(conn, node, &checked).await?;
    // A deleted room has no row.
    let complete = |(ask, (rooms, spans)): (&Missed, (usize, Option<Spans>))| {
        let is_complete = ask.session.is_none_or(|session| sessions.contains(&session));
        spans.filter(|_| is_complete && rooms == ask.rooms.len())
    };
    Ok(asks.iter().zip(found).map(complete).collect())
}

/// What a session that has everything up to `seen` missed in one room, which may be nothing; `None` if some
/// of it is gone.
fn span(row: &tokio_postgres::Row, seen: LogPosition) -> Result<Option<(RoomId, u64, u64)>, Failure> {
    let (room, start) = (row.int(1)?, row.num(2)? + 1);
    let (head, first) = (row.num(3)?, row.num(4)?);
    if start > head {
        return Ok(Some((room, start, start)));
    }
    // If the session has the oldest stored entry, it has all removed ones too.
    let complete = start >= first || row.opt_num(5)?.is_some_and(|oldest| oldest <= seen.0);
    let span = (room, row.num(6)?, row.num(7)?);
    Ok(complete.then_some(span))
}
