//! Inbox: a user's rooms, the latest first.

use rusqlite::{Connection, Row, params};

use super::{
    batch::{ROOM_COLUMNS, room_row},
    column::Seq,
    entries, member_rows, unread,
};
use crate::{Entry, Inbox, InboxCursor, InboxRow, LogPosition, Member, RoomRow, unread::RoomTotals};

pub(super) fn page(
    conn: &Connection,
    user: &str,
    limit: u32,
    after: Option<InboxCursor>,
    max_bytes: usize,
) -> rusqlite::Result<Inbox> {
    let (mut rooms, mut bytes) = (Vec::new(), 0usize);
    for found in find(conn, user, limit, after)? {
        if rooms.len() >= limit as usize {
            return Ok(Inbox { rooms, more: true });
        }
        let row = found.fill(conn)?;
        bytes = bytes.saturating_add(row.last_message.as_ref().map_or(0, Entry::bytes));
        if bytes > max_bytes && !rooms.is_empty() {
            return Ok(Inbox { rooms, more: true });
        }
        rooms.push(row);
    }
    Ok(Inbox { rooms, more: false })
}

/// A room of the user, without the parts that take further queries.
struct Found {
    room: RoomRow,
    totals: RoomTotals,
    member: Member,
    last_message: u64,
    cursor: InboxCursor,
}

/// The rooms of a page, and one more if there is one.
fn find(
    conn: &Connection,
    user: &str,
    limit: u32,
    after: Option<InboxCursor>,
) -> rusqlite::Result<Vec<Found>> {
    let sql = format!(
        "SELECT {ROOM_COLUMNS}, r.last_message, r.active_position, {}, {}
         FROM members m JOIN rooms r ON r.id = m.room_id
         WHERE m.user_id = ?1 AND m.active = 1 AND (r.active_position, r.id) < (?2, ?3)
         ORDER BY r.active_position DESC, r.id DESC LIMIT ?4",
        member_rows::COLUMNS,
        unread::TOTALS
    );
    let found = |row: &Row<'_>| {
        let room = room_row(row)?;
        let cursor = InboxCursor {
            position: LogPosition(row.get::<_, Seq>(9)?.0),
            room: room.id,
        };
        Ok(Found {
            room,
            totals: unread::totals(row, 17)?,
            member: member_rows::member(row, 10)?,
            last_message: row.get::<_, Seq>(8)?.0,
            cursor,
        })
    };
    let (position, room) = after.map_or((LogPosition::MAX, i64::MAX), |cursor| {
        (cursor.position, cursor.room)
    });
    conn.prepare_cached(&sql)?
        .query_map(params![user, Seq(position.0), room, i64::from(limit) + 1], found)?
        .collect()
}

impl Found {
    fn fill(self, conn: &Connection) -> rusqlite::Result<InboxRow> {
        let Self {
            room,
            totals,
            member,
            last_message,
            cursor,
        } = self;
        Ok(InboxRow {
            last_message: entries::get(conn, room.id, last_message)?,
            unread: unread::count(conn, &totals, &member.user_id, member.read_seq)?,
            room,
            member,
            cursor,
        })
    }
}
