//! Pages of a room's log.

use std::ops::Range as Span;

use rusqlite::{Connection, Row, params};

use super::{column::Seq, rooms};
use crate::{Entry, History, Page, Range, RoomId, RoomRow};

pub(super) fn page(
    conn: &Connection,
    room: RoomId,
    page: Page,
    max_bytes: usize,
) -> rusqlite::Result<Option<History>> {
    let Some(room) = rooms::get(conn, room)? else {
        return Ok(None);
    };
    let span = span(&room, page.range);
    let newest_first = !matches!(page.range, Range::After { .. });
    let mut entries = read(conn, &room, &span, newest_first, page.limit, max_bytes)?;
    // The log is dense, so what the span holds is known without asking.
    let more = (entries.len() as u64) < span.end.saturating_sub(span.start);
    if newest_first {
        entries.reverse();
    }
    Ok(Some(History {
        entries,
        more,
        first: room.first,
        head: room.head,
    }))
}

/// The kept part of a range, with its end exclusive.
fn span(room: &RoomRow, range: Range) -> Span<u64> {
    let (start, end) = match range {
        Range::Last { upto } => (0, upto.saturating_add(1)),
        Range::Before(seq) => (0, seq),
        Range::After { seq, upto } => (seq.saturating_add(1), upto.saturating_add(1)),
    };
    start.max(room.first)..end.min(room.head.saturating_add(1))
}

fn read(
    conn: &Connection,
    room: &RoomRow,
    span: &Span<u64>,
    newest_first: bool,
    limit: u32,
    max_bytes: usize,
) -> rusqlite::Result<Vec<Entry>> {
    const OLDEST_FIRST: &str = "SELECT seq, kind, at, user_id, client_id, user_name, body FROM entries
        WHERE room_id = ?1 AND seq >= ?2 AND seq < ?3 ORDER BY seq LIMIT ?4";
    const NEWEST_FIRST: &str = "SELECT seq, kind, at, user_id, client_id, user_name, body FROM entries
        WHERE room_id = ?1 AND seq >= ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4";
    let mut query = conn.prepare_cached(if newest_first { NEWEST_FIRST } else { OLDEST_FIRST })?;
    let mut rows = query.query(params![room.id, Seq(span.start), Seq(span.end), limit])?;
    let (mut entries, mut bytes) = (Vec::new(), 0usize);
    while let Some(row) = rows.next()? {
        let entry = entry(row)?;
        bytes = bytes.saturating_add(entry.body.len());
        if bytes > max_bytes && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        seq: row.get::<_, Seq>(0)?.0,
        kind: row.get(1)?,
        at: row.get(2)?,
        user_id: row.get(3)?,
        client_id: row.get(4)?,
        user_name: row.get(5)?,
        body: row.get(6)?,
    })
}
