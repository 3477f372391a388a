//! Membership, the marks of what was read and delivered, and what is unread.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{batch::Batch, column::Seq, outbox, writer::Write};
use crate::{Delivered, Joined, Member, Role, RoomId, RoomKind, Unread};

/// What [`member`] reads.
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

/// In the order of their ids.
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

/// Those of `others` who share a room with the user.
pub(super) fn sharing_a_room(
    conn: &Connection,
    user: &str,
    others: Vec<String>,
) -> rusqlite::Result<Vec<String>> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM members a JOIN members b ON b.room_id = a.room_id
        WHERE a.user_id = ?1 AND a.active = 1 AND b.user_id = ?2 AND b.active = 1)";
    let mut shares = conn.prepare_cached(SQL)?;
    let mut sharing = Vec::new();
    for other in others {
        if shares.query_row(params![user, other], |row| row.get(0))? {
            sharing.push(other);
        }
    }
    Ok(sharing)
}

pub(super) fn count(conn: &Connection, room: RoomId) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT count(*) FROM members WHERE room_id = ?1 AND active = 1")?
        .query_row([room], |row| Ok(row.get::<_, Seq>(0)?.0))
}

/// Messages by others, still kept and not deleted, beyond a mark. Touches as many rows as lie beyond it.
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
    // Asked apart, so that both counts begin at a known place.
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

/// How a user comes into a room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// By themselves: not into a private room.
    Joins,
    /// Somebody who may puts them there, with this role or the one they have.
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

/// Where a mark stands, and whether it was moved there just now.
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
