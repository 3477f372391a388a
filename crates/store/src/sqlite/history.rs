//! Pages of a room's log.

use std::ops::Range as Span;

use rusqlite::{Connection, params};

use super::{
    column::Seq,
    entries::{self, SELECT},
    rooms,
};
use crate::{CatchUp, CaughtUp, Entry, History, Page, Range, RoomId, RoomRow, rows::count_fitting};

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
    let newest_first = page.range.newest_first();
    let (mut entries, mut more) = read(conn, &room, &span, newest_first, page.limit, max_bytes)?;
    if newest_first {
        entries.reverse();
    }
    entries::complete(conn, room.id, &mut entries)?;
    more |= cut(&mut entries, newest_first, max_bytes);
    Ok(Some(History {
        entries,
        more,
        first: room.first,
        head: room.head,
    }))
}

/// See [`CatchUp`].
pub(super) fn catch_up(
    conn: &Connection,
    ask: &CatchUp,
    max_bytes: usize,
) -> rusqlite::Result<Option<CaughtUp>> {
    if let Some(following) = ask.following() {
        let Some(history) = page(conn, ask.room, following, max_bytes)? else {
            return Ok(None);
        };
        if ask.continues(&history) {
            let range = following.range;
            return Ok(Some(CaughtUp { range, history }));
        }
    }
    let newest = ask.newest();
    let history = page(conn, ask.room, newest, max_bytes)?;
    Ok(history.map(|history| CaughtUp {
        range: newest.range,
        history,
    }))
}

/// See [`crate::Log::catch_up`].
pub(super) fn catch_up_all(
    conn: &Connection,
    asks: &[CatchUp],
    bytes: usize,
    page_bytes: usize,
) -> rusqlite::Result<Vec<Option<CaughtUp>>> {
    let (mut pages, mut read) = (Vec::with_capacity(asks.len()), 0usize);
    for ask in asks {
        let is_full = read >= bytes;
        let limit = if is_full { 1 } else { ask.limit };
        let mut caught = catch_up(conn, &CatchUp { limit, ..*ask }, page_bytes)?;
        if let Some(CaughtUp { history, .. }) = &mut caught {
            if is_full {
                history.empty();
            }
            read = read.saturating_add(history.bytes());
        }
        pages.push(caught);
    }
    Ok(pages)
}

/// The part of a range that is kept, as a half-open span.
fn span(room: &RoomRow, range: Range) -> Span<u64> {
    let Span { start, end } = range.span();
    start.max(room.first)..end.min(room.head.saturating_add(1))
}

/// Reads entries within the limits. Also returns whether there are more.
fn read(
    conn: &Connection,
    room: &RoomRow,
    span: &Span<u64>,
    newest_first: bool,
    limit: u32,
    max_bytes: usize,
) -> rusqlite::Result<(Vec<Entry>, bool)> {
    const OLDEST_FIRST: &str = "WHERE e.room_id = ?1 AND e.seq >= ?2 AND e.seq < ?3 ORDER BY e.seq";
    const NEWEST_FIRST: &str =
        "WHERE e.room_id = ?1 AND e.seq >= ?2 AND e.seq < ?3 AND e.kind = 0 ORDER BY e.seq DESC";
    let which = if newest_first { NEWEST_FIRST } else { OLDEST_FIRST };
    let mut query = conn.prepare_cached(&format!("{SELECT} {which} LIMIT ?4"))?;
    // One more than requested tells whether there are more.
    let mut rows = query.query(params![
        room.id,
        Seq(span.start),
        Seq(span.end),
        i64::from(limit) + 1
    ])?;
    let (mut entries, mut bytes) = (Vec::new(), 0usize);
    while let Some(row) = rows.next()? {
        if entries.len() >= limit as usize {
            return Ok((entries, true));
        }
        let entry = entries::appended(row)?;
        bytes = bytes.saturating_add(entry.bytes());
        if bytes > max_bytes && !entries.is_empty() {
            return Ok((entries, true));
        }
        entries.push(entry);
    }
    Ok((entries, false))
}

/// Drops the farthest entries that no longer fit, since edits and reactions may have enlarged them. Returns
/// whether it dropped any.
fn cut(entries: &mut Vec<Entry>, newest_first: bool, max_bytes: usize) -> bool {
    let all = entries.len();
    let kept = if newest_first {
        count_fitting(entries.iter().rev(), max_bytes)
    } else {
        count_fitting(entries.iter(), max_bytes)
    };
    if newest_first {
        entries.drain(..all - kept);
    } else {
        entries.truncate(kept);
    }
    kept < all
}
