//! Inbox: a user's rooms, the latest first.

use tokio_postgres::Row;

use super::{
    conn::Conn,
    entries::{self, Found},
    failure::Failure,
    member_rows,
    rooms::{self, ROOM_COLUMNS},
    unread,
    value::{Columns as _, num, text},
};
use crate::{Entry, Inbox, InboxCursor, InboxRow, LogPosition};

pub(super) async fn page(
    conn: &Conn,
    user: &str,
    limit: u32,
    after: Option<InboxCursor>,
    max_bytes: usize,
) -> Result<Inbox, Failure> {
    // Selects the rooms of the page first, so that unread messages are counted only for them.
    let sql = format!(
        "WITH page AS MATERIALIZED (
            SELECT r.id FROM members m JOIN rooms r ON r.id = m.room_id
            WHERE m.user_id = $1 AND m.active = 1 AND (r.active_position, r.id) < ($2, $3)
            ORDER BY r.active_position DESC, r.id DESC LIMIT $4)
         SELECT {ROOM_COLUMNS}, r.active_position, {}, {}, {}
         FROM page p JOIN rooms r ON r.id = p.id JOIN members m ON m.room_id = r.id AND m.user_id = $1 {}
         LEFT JOIN entries e ON e.room_id = r.id AND e.seq = r.last_message AND e.seq >= r.first {}
         ORDER BY r.active_position DESC, r.id DESC",
        member_rows::COLUMNS,
        unread::COLUMNS,
        entries::COLUMNS,
        unread::JOINS,
        entries::STATE,
    );
    let (position, room) = after.map_or((LogPosition::MAX, i64::MAX), |cursor| {
        (cursor.position, cursor.room)
    });
    conn.begin_snapshot();
    let rows = conn
        .rows(
            &sql,
            &[&text(user), &num(position.0), &room, &(i64::from(limit) + 1)],
        )
        .await?;
    let mut found = rows.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    let mut last: Vec<Found> = found.iter_mut().filter_map(|(_, last)| last.take()).collect();
    entries::fill(conn, &mut last).await?;
    conn.end_snapshot()?;
    let mut last = last.into_iter().peekable();
    let (mut rooms, mut bytes) = (Vec::new(), 0usize);
    for (mut row, _) in found {
        if rooms.len() >= limit as usize {
            return Ok(Inbox { rooms, more: true });
        }
        row.last_message = last
            .next_if(|found| found.room == row.room.id)
            .map(|found| found.entry);
        bytes = bytes.saturating_add(row.last_message.as_ref().map_or(0, Entry::bytes));
        if bytes > max_bytes && !rooms.is_empty() {
            return Ok(Inbox { rooms, more: true });
        }
        rooms.push(row);
    }
    Ok(Inbox { rooms, more: false })
}

/// A row, and its last message separately.
fn read(row: &Row) -> Result<(InboxRow, Option<Found>), Failure> {
    let room = rooms::room(row)?;
    let last = entries::entry(row, 18, room.id)?;
    let cursor = InboxCursor {
        position: LogPosition(row.num(8)?),
        room: room.id,
    };
    let row = InboxRow {
        member: member_rows::member(row, 9)?,
        unread: unread::counts(row, 16)?,
        last_message: None,
        room,
        cursor,
    };
    Ok((row, last))
}
