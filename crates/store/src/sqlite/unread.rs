//! Counts of a member's unread messages and mentions. The rows that they read do not grow with the room.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::Seq;
use crate::{
    RoomId, Unread,
    unread::{BLOCK_SIZES, RoomTotals, block_end},
};

/// The columns that [`totals`] reads.
pub(super) const TOTALS: &str = "r.id, r.first, r.head, r.messages, r.deletions";

/// Reads the [`TOTALS`] of a row, beginning with column `at`.
pub(super) fn totals(row: &Row<'_>, at: usize) -> rusqlite::Result<RoomTotals> {
    let number = |column: usize| row.get::<_, Seq>(at + column).map(|Seq(number)| number);
    Ok(RoomTotals {
        room: row.get(at)?,
        first: number(1)?,
        head: number(2)?,
        messages: number(3)?,
        deletions: number(4)?,
    })
}

/// The counts of an active member; `None` if the user is none.
pub(super) fn of_member(conn: &Connection, room: RoomId, user: &str) -> rusqlite::Result<Option<Unread>> {
    let sql = format!(
        "SELECT {TOTALS}, m.read_seq FROM members m JOIN rooms r ON r.id = m.room_id
         WHERE m.room_id = ?1 AND m.user_id = ?2 AND m.active = 1"
    );
    let found = conn
        .prepare_cached(&sql)?
        .query_row(params![room, user], |row| {
            Ok((totals(row, 0)?, row.get::<_, Seq>(5)?.0))
        })
        .optional()?;
    found
        .map(|(room, mark)| count(conn, &room, user, mark))
        .transpose()
}

/// Counts the messages by others after a mark that are kept and not deleted.
pub(super) fn count(conn: &Connection, room: &RoomTotals, user: &str, mark: u64) -> rusqlite::Result<Unread> {
    let span = room.unread_span(mark);
    if span.is_empty() {
        return Ok(Unread::default());
    }
    let (room, from) = (*room, *span.start());
    let all = since(conn, &room, from)?;
    if all == 0 {
        return Ok(Unread::default());
    }
    let mut read_or_gone = own_since(conn, room.room, user, from)?;
    if room.deletions > 0 {
        read_or_gone += deleted_since(conn, room.room, user, from)?;
    }
    Ok(Unread {
        messages: all.saturating_sub(read_or_gone),
        mentions: mentions_since(conn, &room, user, from)?,
    })
}

/// The room's messages from an entry on.
fn since(conn: &Connection, room: &RoomTotals, from: u64) -> rusqlite::Result<u64> {
    const SQL: &str = "SELECT messages - (kind = 0) FROM entries WHERE room_id = ?1 AND seq = ?2";
    let before = conn
        .prepare_cached(SQL)?
        .query_row(params![room.room, Seq(from)], |row| row.get::<_, Seq>(0))
        .optional()?;
    Ok(before.map_or(0, |Seq(before)| room.messages.saturating_sub(before)))
}

/// The user's own messages from an entry on.
fn own_since(conn: &Connection, room: RoomId, user: &str, from: u64) -> rusqlite::Result<u64> {
    const OLDEST: &str = "SELECT own_messages FROM entries INDEXED BY entries_own
        WHERE room_id = ?1 AND user_id = ?2 AND kind = 0 AND seq >= ?3 ORDER BY seq LIMIT 1";
    const NEWEST: &str = "SELECT own_messages FROM entries INDEXED BY entries_own
        WHERE room_id = ?1 AND user_id = ?2 AND kind = 0 AND seq >= ?3 ORDER BY seq DESC LIMIT 1";
    let number = |sql| {
        conn.prepare_cached(sql)?
            .query_row(params![room, user, Seq(from)], |row| row.get::<_, Seq>(0))
            .optional()
    };
    let Some(Seq(oldest)) = number(OLDEST)? else {
        return Ok(0);
    };
    let newest = number(NEWEST)?.map_or(oldest, |Seq(newest)| newest);
    Ok((newest + 1).saturating_sub(oldest))
}

/// Deleted messages of others from an entry on.
fn deleted_since(conn: &Connection, room: RoomId, user: &str, from: u64) -> rusqlite::Result<u64> {
    const SINGLE: &str = "SELECT count(*) FROM message_states
        WHERE room_id = ?1 AND author <> ?2 AND seq >= ?3 AND seq <= ?4 AND deleted = 1";
    const IN_BLOCKS: &str = "SELECT
        (SELECT coalesce(sum(messages), 0) FROM deletion_counts
         WHERE room_id = ?1 AND user_id = ?2 AND size = 128 AND last_seq > ?3 AND last_seq <= ?4)
        + (SELECT coalesce(sum(messages), 0) FROM deletion_counts
           WHERE room_id = ?1 AND user_id = ?2 AND size = 16384 AND last_seq > ?4)";
    let [small, large] = BLOCK_SIZES.map(|size| Seq(block_end(from, size)));
    let single = conn
        .prepare_cached(SINGLE)?
        .query_row(params![room, user, Seq(from), small], |row| row.get::<_, Seq>(0))?;
    let in_blocks = |author: &str| {
        conn.prepare_cached(IN_BLOCKS)?
            .query_row(params![room, author, small, large], |row| row.get::<_, Seq>(0))
    };
    Ok(single.0 + in_blocks("")?.0.saturating_sub(in_blocks(user)?.0))
}

/// Messages from an entry on that mention the user.
fn mentions_since(conn: &Connection, room: &RoomTotals, user: &str, from: u64) -> rusqlite::Result<u64> {
    const SINGLE: &str =
        "SELECT count(*) FROM mentions WHERE room_id = ?1 AND user_id = ?2 AND seq >= ?3 AND seq <= ?4";
    const IN_BLOCKS: &str = "SELECT
        (SELECT coalesce(sum(messages), 0) FROM mention_counts
         WHERE room_id = ?1 AND user_id = ?2 AND size = 128 AND last_seq > ?3 AND last_seq <= ?4)
        + (SELECT coalesce(sum(messages), 0) FROM mention_counts
           WHERE room_id = ?1 AND user_id = ?2 AND size = 16384 AND last_seq > ?4)";
    let [small, large] = BLOCK_SIZES.map(|size| block_end(from, size));
    let Seq(single) = conn
        .prepare_cached(SINGLE)?
        .query_row(params![room.room, user, Seq(from), Seq(small)], |row| row.get(0))?;
    if room.head <= small {
        return Ok(single);
    }
    let Seq(in_blocks) = conn
        .prepare_cached(IN_BLOCKS)?
        .query_row(params![room.room, user, Seq(small), Seq(large)], |row| row.get(0))?;
    Ok(single + in_blocks)
}
