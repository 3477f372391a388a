//! Memberships, read and delivered marks, and unread counts.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{batch::Batch, column::Seq, outbox, writer::Write};
use crate::{Delivered, Joined, Member, Role, RoomId, RoomKind, Unread};

/// The columns that [`member`] reads.
pub(super) const COLUMNS: &str = "m.user_id, m.read_seq, m.read_at, m.delivered_seq, m.joined_at, m.role,
    m.membership";

/// The [`COLUMNS`] of a row from column `at` on.
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

/// The user's membership, if it is active.
pub(super) fn active(conn: &Connection, room: RoomId, user: &str) -> rusqlite::Result<Option<Member>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM members m WHERE m.room_id = ?1 AND m.user_id = ?2 AND m.active = 1"
    ))?
    .query_row(params![room, user], |row| member(row, 0))
    .optional()
}

/// Members by id.
pub(super) fn all(
    conn: &Connection,
    room: RoomId,
    after: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Vec<Member>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM members m
         WHERE m.room_id = ?1 AND m.user_id > ?2 AND m.active = 1 ORDER BY m.user_id LIMIT ?3"
    ))?
    .query_map(params![room, after.unwrap_or_default(), limit], |row| {
        member(row, 0)
    })?
    .collect()
}

pub(super) fn count(conn: &Connection, room: RoomId) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT count(*) FROM members WHERE room_id = ?1 AND active = 1")?
        .query_row([room], |row| Ok(row.get::<_, Seq>(0)?.0))
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

/// Makes the user a member.
pub(super) struct Join {
    pub(super) room: RoomId,
    pub(super) user: String,
    pub(super) at: i64,
    pub(super) entrance: Entrance,
}

/// How a user enters a room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// The user joins: not possible in a private room.
    Joins,
    /// The backend adds the user, with this role or the current one.
    IsPut(Option<Role>),
}

impl Write for Join {
    type Answer = Option<Joined>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Option<Joined>> {
        const SQL: &str = "INSERT INTO members (room_id, user_id, active, joined_at) VALUES (?1, ?2, 1, ?3)
            ON CONFLICT (room_id, user_id) DO UPDATE
            SET active = 1, joined_at = excluded.joined_at, membership = membership + 1 WHERE active = 0";
        let conn = batch.conn;
        let Some(room) = batch.room(self.room)? else {
            return Ok(None);
        };
        if self.entrance == Entrance::Joins && room.row.kind == RoomKind::Private {
            let member = active(conn, self.room, &self.user)?;
            return Ok(member.map(|member| Joined {
                room: room.row.clone(),
                member,
                newly: false,
            }));
        }
        let newly = conn
            .prepare_cached(SQL)?
            .execute(params![self.room, self.user, self.at])?
            == 1;
        if let Entrance::IsPut(Some(role)) = self.entrance {
            conn.prepare_cached("UPDATE members SET role = ?3 WHERE room_id = ?1 AND user_id = ?2")?
                .execute(params![self.room, self.user, role])?;
        }
        let member = active(conn, self.room, &self.user)?;
        Ok(member.map(|member| Joined {
            room: room.row.clone(),
            member,
            newly,
        }))
    }
}

pub(super) struct Leave {
    pub(super) room: RoomId,
    pub(super) user: String,
}

impl Write for Leave {
    type Answer = bool;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<bool> {
        const SQL: &str =
            "UPDATE members SET active = 0, role = 0 WHERE room_id = ?1 AND user_id = ?2 AND active = 1";
        Ok(batch
            .conn
            .prepare_cached(SQL)?
            .execute(params![self.room, self.user])?
            == 1)
    }
}

pub(super) struct MarkRead {
    pub(super) room: RoomId,
    pub(super) user: String,
    pub(super) seq: u64,
    pub(super) at: i64,
}

/// A mark, and whether this call moved it.
pub(super) struct Moved {
    pub(super) read_seq: u64,
    pub(super) advanced: bool,
}

impl Write for MarkRead {
    type Answer = Option<Moved>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Option<Moved>> {
        const SQL: &str = "UPDATE members
            SET read_seq = ?3, read_at = ?4, delivered_seq = max(delivered_seq, ?3)
            WHERE room_id = ?1 AND user_id = ?2 AND active = 1 AND read_seq < ?3";
        let conn = batch.conn;
        let Some(room) = batch.room(self.room)? else {
            return Ok(None);
        };
        let mark = self.seq.min(room.row.head);
        let advanced =
            conn.prepare_cached(SQL)?
                .execute(params![self.room, self.user, Seq(mark), self.at])?
                == 1;
        if advanced {
            outbox::acknowledged(batch, self.room, &self.user, mark)?;
        }
        let member = active(conn, self.room, &self.user)?;
        Ok(member.map(|member| Moved {
            read_seq: member.read_seq,
            advanced,
        }))
    }
}

pub(super) struct MarkDelivered {
    pub(super) room: RoomId,
    pub(super) user: String,
    pub(super) seq: u64,
}

impl Write for MarkDelivered {
    type Answer = Option<Delivered>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Option<Delivered>> {
        const SQL: &str = "UPDATE members SET delivered_seq = ?3
            WHERE room_id = ?1 AND user_id = ?2 AND active = 1 AND delivered_seq < ?3";
        let conn = batch.conn;
        let Some(room) = batch.room(self.room)? else {
            return Ok(None);
        };
        let mark = self.seq.min(room.row.head);
        let advanced = conn
            .prepare_cached(SQL)?
            .execute(params![self.room, self.user, Seq(mark)])?
            == 1;
        if advanced {
            outbox::acknowledged(batch, self.room, &self.user, mark)?;
        }
        let member = active(conn, self.room, &self.user)?;
        Ok(member.map(|member| Delivered {
            delivered_seq: member.delivered_seq,
            advanced,
        }))
    }
}
