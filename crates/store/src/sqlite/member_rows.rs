//! Rows of members: their columns, and the counts of unread messages.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::column::Seq;
use crate::{Member, RoomId, Unread};

/// The columns that [`member`] reads.
pub(super) const COLUMNS: &str = "m.user_id, m.read_seq, m.read_at, m.delivered_seq, m.joined_at, m.role,
    m.membership";

/// Reads the [`COLUMNS`] of a row, beginning with column `at`.
pub(super) fn member(row: &Row<'_>, at: usize) -> rusqlite::Result<Member> {
    Ok(Member {
        user_id: row.get(at)?,
        read_seq: row.get::<_, Seq>(at + 1)?.0,
        read_at: row.get(at + 2)?,
        delivered_seq: row.get::<_, Seq>(at + 3)?.0,
        joined_at: row.get(at + 4)?,
        role: row.get(at + 5)?,
        membership: row.get::<_, Seq>(at + 6)?.0,
    })
}

/// Counts messages by others after a mark that are stored and not deleted. Reads every row after the mark.
pub(super) fn count_unread(
    conn: &Connection,
    room: RoomId,
    user: &str,
    mark: u64,
) -> rusqlite::Result<Unread> {
    const MESSAGES: &str = "SELECT
        (SELECT count(*) FROM entries WHERE room_id = ?1 AND seq >= ?2 AND kind = 0 AND user_id <> ?3)
        - (SELECT count(*) FROM message_states
           WHERE room_id = ?1 AND seq >= ?2 AND deleted = 1 AND author <> ?3)";
    const MENTIONS: &str = "SELECT count(*) FROM mentions WHERE room_id = ?1 AND seq >= ?2 AND user_id = ?3";
    // A query of its own, so that both counts start at a known number.
    let first = conn
        .prepare_cached("SELECT first FROM rooms WHERE id = ?1")?
        .query_row([room], |row| Ok(row.get::<_, Seq>(0)?.0))
        .optional()?;
    let Some(first) = first else {
        return Ok(Unread::default());
    };
    let from = Seq(first.max(mark.saturating_add(1)));
    let count = |sql| -> rusqlite::Result<u64> {
        conn.prepare_cached(sql)?
            .query_row(params![room, from, user], |row| Ok(row.get::<_, Seq>(0)?.0))
    };
    Ok(Unread {
        messages: count(MESSAGES)?,
        mentions: count(MENTIONS)?,
    })
}
