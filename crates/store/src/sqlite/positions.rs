//! Reading entries by position. Positions ascend with the sequence numbers of a room, so a binary search
//! finds them without an index that each append would have to write.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    column::Seq,
    history, rooms,
    sessions::{self, OwnedSession},
};
use crate::{LogEntry, LogPosition, Missed, Page, Range, RoomId, RoomRow};

/// See [`crate::Sessions::missed`].
pub(super) fn missed(conn: &Connection, ask: &Missed) -> rusqlite::Result<Option<Vec<LogEntry>>> {
    if let Some((key, owner)) = ask.session
        && !sessions::is_complete(conn, OwnedSession { key, owner })?
    {
        return Ok(None);
    }
    let (mut found, mut bytes) = (Vec::new(), 0);
    for (room, after) in &ask.rooms {
        let Some(room) = rooms::get(conn, *room)? else {
            return Ok(None);
        };
        let Some(span) = span(conn, &room, *after, ask)? else {
            return Ok(None);
        };
        if span.is_empty() {
            continue;
        }
        let wanted = span.end - span.start;
        if wanted > ask.most.saturating_sub(found.len()) as u64 {
            return Ok(None);
        }
        let entries = read(conn, &room, span, ask.most_bytes.saturating_sub(bytes))?;
        bytes += entries.iter().map(|entry| entry.entry.body.len()).sum::<usize>();
        if entries.len() as u64 != wanted || bytes > ask.most_bytes {
            return Ok(None);
        }
        found.extend(entries);
    }
    found.sort_unstable_by_key(|entry| entry.position);
    Ok(Some(found))
}

/// The entries of a room that a session missed; `None` if some of them were removed.
fn span(
    conn: &Connection,
    room: &RoomRow,
    after: u64,
    ask: &Missed,
) -> rusqlite::Result<Option<std::ops::Range<u64>>> {
    let start = after.saturating_add(1);
    if start > room.head {
        return Ok(Some(start..start));
    }
    if start >= room.first {
        return Ok(Some(
            first_beyond(conn, room, start, ask.after)?..first_beyond(conn, room, start, ask.upto)?,
        ));
    }
    // Some entries were removed. If the session knows the oldest one left, it knows the removed ones too.
    match position_of(conn, room.id, room.first)? {
        Some(oldest) if oldest <= ask.after => Ok(Some(
            first_beyond(conn, room, room.first, ask.after)?..first_beyond(conn, room, room.first, ask.upto)?,
        )),
        _ => Ok(None),
    }
}

/// The first entry from `start` on that stands after `position`; `head + 1` if there is none.
fn first_beyond(
    conn: &Connection,
    room: &RoomRow,
    start: u64,
    position: LogPosition,
) -> rusqlite::Result<u64> {
    let (mut low, mut high) = (start, room.head + 1);
    // Most rooms have nothing new: probe the newest entry first.
    let mut probe = room.head;
    while low < high {
        if position_of(conn, room.id, probe)?.is_some_and(|at| at > position) {
            high = probe;
        } else {
            low = probe + 1;
        }
        probe = low + (high - low) / 2;
    }
    Ok(low)
}

fn position_of(conn: &Connection, room: RoomId, seq: u64) -> rusqlite::Result<Option<LogPosition>> {
    conn.prepare_cached("SELECT position FROM entries WHERE room_id = ?1 AND seq = ?2")?
        .query_row(params![room, Seq(seq)], |row| {
            Ok(LogPosition(row.get::<_, Seq>(0)?.0))
        })
        .optional()
}

/// The room's entries in a span, up to `max_bytes` of them.
fn read(
    conn: &Connection,
    room: &RoomRow,
    span: std::ops::Range<u64>,
    max_bytes: usize,
) -> rusqlite::Result<Vec<LogEntry>> {
    let page = Page {
        range: Range::After {
            seq: span.start - 1,
            upto: span.end - 1,
        },
        limit: u32::MAX,
    };
    let entries = history::page(conn, room.id, page, max_bytes)?.map_or_else(Vec::new, |page| page.entries);
    let mut positioned = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(position) = position_of(conn, room.id, entry.seq)? {
            let room = room.id;
            positioned.push(LogEntry {
                position,
                room,
                entry,
            });
        }
    }
    Ok(positioned)
}

/// See [`crate::Log::room_at`]. Scans all entries, since it is used only for unreadable ones.
pub(super) fn room_at(conn: &Connection, position: LogPosition) -> rusqlite::Result<Option<RoomId>> {
    conn.prepare_cached("SELECT room_id FROM entries WHERE position = ?1")?
        .query_row([Seq(position.0)], |row| row.get(0))
        .optional()
}

/// Entries by position, see [`crate::Log::log_entries`]. Visits every room, since it is used only when the
/// answer to an append was lost.
pub(super) fn between(
    conn: &Connection,
    after: LogPosition,
    upto: LogPosition,
    limit: u32,
) -> rusqlite::Result<Vec<LogEntry>> {
    const SQL: &str = "SELECT r.id FROM rooms r JOIN entries e ON e.room_id = r.id AND e.seq = r.head
        WHERE e.position > ?1";
    let ids = conn
        .prepare_cached(SQL)?
        .query_map([Seq(after.0)], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<RoomId>>>()?;
    let mut found = Vec::new();
    for id in ids {
        let Some(room) = rooms::get(conn, id)? else {
            continue;
        };
        let start = first_beyond(conn, &room, room.first, after)?;
        let end = first_beyond(conn, &room, room.first, upto)?.min(start.saturating_add(limit.into()));
        if start < end {
            found.extend(read(conn, &room, start..end, usize::MAX)?);
        }
    }
    found.sort_unstable_by_key(|entry| entry.position);
    found.truncate(limit as usize);
    Ok(found)
}
