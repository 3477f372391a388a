//! Membership, the marks of what was read and delivered, and what is unread.

use tokio_postgres::Row;

use super::{
    conn::Conn,
    failure::Failure,
    outbox, rooms,
    value::{Columns as _, num, text},
};
use crate::{
    Delivered, Joined, Member, OutboxOptions, Role, RoomId, RoomKind, Unread, numbers::Numbered as _,
};

/// What [`member`] reads.
pub(super) const COLUMNS: &str = "m.user_id, m.read_seq, m.read_at, m.delivered_seq, m.joined_at, m.role,
    m.membership";

/// What member `m` of room `r` has not read: messages by others, still kept and not deleted, beyond their mark. Touches as
/// many rows as lie beyond it.
pub(super) const UNREAD: &str = "(SELECT count(*) FROM entries e WHERE e.room_id = r.id
            AND e.seq >= greatest(r.first, m.read_seq + 1) AND e.kind = 0 AND e.user_id <> m.user_id)
        - (SELECT count(*) FROM message_states s WHERE s.room_id = r.id
            AND s.seq >= greatest(r.first, m.read_seq + 1) AND s.deleted = 1 AND s.author <> m.user_id),
        (SELECT count(*) FROM mentions o WHERE o.room_id = r.id
            AND o.seq >= greatest(r.first, m.read_seq + 1) AND o.user_id = m.user_id)";

/// The [`COLUMNS`] of a row from column `at` on.
pub(super) fn member(row: &Row, at: usize) -> Result<Member, Failure> {
    Ok(Member {
        user_id: row.text(at)?,
        read_seq: row.num(at + 1)?,
        read_at: row.opt_int(at + 2)?,
        delivered_seq: row.num(at + 3)?,
        joined_at: row.int(at + 4)?,
        role: row.kind(at + 5)?,
        membership: row.num(at + 6)?,
    })
}

/// The counts of [`UNREAD`] from column `at` on.
pub(super) fn unread_counts(row: &Row, at: usize) -> Result<Unread, Failure> {
    Ok(Unread {
        messages: row.num(at)?,
        mentions: row.num(at + 1)?,
    })
}

/// The user's membership, if it is active.
pub(super) async fn active(conn: &Conn, room: RoomId, user: &str) -> Result<Option<Member>, Failure> {
    let sql =
        format!("SELECT {COLUMNS} FROM members m WHERE m.room_id = $1 AND m.user_id = $2 AND m.active = 1");
    let row = conn.row(&sql, &[&room, &text(user)]).await?;
    row.map(|row| member(&row, 0)).transpose()
}

/// In the order of their ids.
pub(super) async fn all(
    conn: &Conn,
    room: RoomId,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Member>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM members m
         WHERE m.room_id = $1 AND m.user_id > $2 AND m.active = 1 ORDER BY m.user_id LIMIT $3"
    );
    let rows = conn
        .rows(
            &sql,
            &[&room, &text(after.unwrap_or_default()), &i64::from(limit)],
        )
        .await?;
    rows.iter().map(|row| member(row, 0)).collect()
}

/// Those of `others` who share a room with the user, in their order.
pub(super) async fn sharing_a_room(
    conn: &Conn,
    user: &str,
    others: &[String],
) -> Result<Vec<String>, Failure> {
    const SQL: &str = "SELECT o.id FROM unnest($2::text[]) WITH ORDINALITY o (id, place)
        WHERE EXISTS (SELECT 1 FROM members a JOIN members b ON b.room_id = a.room_id
            WHERE a.user_id = $1 AND a.active = 1 AND b.user_id = o.id AND b.active = 1)
        ORDER BY o.place";
    let others: Vec<_> = others.iter().map(|id| text(id)).collect();
    let rows = conn.rows(SQL, &[&text(user), &others]).await?;
    rows.iter().map(|row| row.text(0)).collect()
}

pub(super) async fn count(conn: &Conn, room: RoomId) -> Result<u64, Failure> {
    let sql = "SELECT count(*) FROM members WHERE room_id = $1 AND active = 1";
    conn.one(sql, &[&room]).await?.num(0)
}

pub(super) async fn unread(conn: &Conn, room: RoomId, user: &str) -> Result<Option<Unread>, Failure> {
    let sql = format!(
        "SELECT {UNREAD} FROM members m JOIN rooms r ON r.id = m.room_id
         WHERE m.room_id = $1 AND m.user_id = $2 AND m.active = 1"
    );
    let row = conn.row(&sql, &[&room, &text(user)]).await?;
    row.map(|row| unread_counts(&row, 0)).transpose()
}

/// The room and the user's membership, of those who come back after a reconnect: they cost no commit.
pub(super) async fn rejoin(conn: &Conn, room: RoomId, user: &str) -> Result<Option<Joined>, Failure> {
    let sql = format!(
        "SELECT {}, {COLUMNS} FROM members m JOIN rooms r ON r.id = m.room_id
         WHERE m.room_id = $1 AND m.user_id = $2 AND m.active = 1",
        rooms::ROOM_COLUMNS
    );
    let row = conn.row(&sql, &[&room, &text(user)]).await?;
    let joined = |row: Row| {
        Ok(Joined {
            room: rooms::room(&row)?,
            member: member(&row, 8)?,
            newly: false,
        })
    };
    row.map(joined).transpose()
}

/// How a user comes into a room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// By themselves: not into a private room.
    Joins,
    /// Somebody who may puts them there, with this role or the one they have.
    IsPut(Option<Role>),
}

/// Makes the user a member.
pub(super) async fn join(
    conn: &Conn,
    room: RoomId,
    user: &str,
    at: i64,
    entrance: Entrance,
) -> Result<Option<Joined>, Failure> {
    const SQL: &str = "INSERT INTO members AS m (room_id, user_id, active, joined_at) VALUES ($1, $2, 1, $3)
        ON CONFLICT (room_id, user_id) DO UPDATE
        SET active = 1, joined_at = excluded.joined_at, membership = m.membership + 1 WHERE m.active = 0";
    const ROLE: &str = "UPDATE members SET role = $3 WHERE room_id = $1 AND user_id = $2";
    // It can't be removed meanwhile, nor its kind be changed; and it waits for nobody who appends.
    const ROOM: &str = "SELECT r.kind FROM rooms r WHERE r.id = $1 FOR KEY SHARE";
    let user_id = text(user);
    conn.begin().await?;
    let Some(kind) = conn.row(ROOM, &[&room]).await? else {
        conn.roll_back().await?;
        return Ok(None);
    };
    let closed = entrance == Entrance::Joins && kind.kind::<RoomKind>(0)? == RoomKind::Private;
    let newly = !closed && conn.run(SQL, &[&room, &user_id, &at]).await? == 1;
    if let Entrance::IsPut(Some(role)) = entrance {
        conn.run(ROLE, &[&room, &user_id, &role.number()]).await?;
    }
    let joined = rejoin(conn, room, user).await?;
    conn.commit().await?;
    Ok(joined.map(|joined| Joined { newly, ..joined }))
}

pub(super) async fn leave(conn: &Conn, room: RoomId, user: &str) -> Result<bool, Failure> {
    const SQL: &str =
        "UPDATE members SET active = 0, role = 0 WHERE room_id = $1 AND user_id = $2 AND active = 1";
    Ok(conn.run(SQL, &[&room, &text(user)]).await? == 1)
}

/// A user's mark in a room, up to an entry or to the room's head if that is lower.
pub(super) struct Mark<'a> {
    pub(super) room: RoomId,
    pub(super) user: &'a str,
    pub(super) seq: u64,
}

/// Where a mark stands, and whether it was moved there just now.
pub(super) struct Moved {
    pub(super) mark: u64,
    pub(super) advanced: bool,
}

/// Moves the read mark.
pub(super) async fn mark_read(
    conn: &Conn,
    mark: Mark<'_>,
    at: i64,
    options: &OutboxOptions,
) -> Result<Option<Moved>, Failure> {
    const SQL: &str = "UPDATE members m SET read_seq = least($3, r.head), read_at = $4,
            delivered_seq = greatest(m.delivered_seq, least($3, r.head))
        FROM rooms r WHERE r.id = m.room_id AND m.room_id = $1 AND m.user_id = $2 AND m.active = 1
            AND m.read_seq < least($3, r.head) RETURNING m.read_seq";
    const NOW: &str = "SELECT read_seq FROM members WHERE room_id = $1 AND user_id = $2 AND active = 1";
    let Mark { room, user, seq } = mark;
    let user_id = text(user);
    let own: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&room, &user_id, &num(seq), &at];
    move_mark(conn, &mark, (SQL, own), NOW, options).await
}

/// Moves the delivered mark.
pub(super) async fn mark_delivered(
    conn: &Conn,
    mark: Mark<'_>,
    options: &OutboxOptions,
) -> Result<Option<Delivered>, Failure> {
    const SQL: &str = "UPDATE members m SET delivered_seq = least($3, r.head)
        FROM rooms r WHERE r.id = m.room_id AND m.room_id = $1 AND m.user_id = $2 AND m.active = 1
            AND m.delivered_seq < least($3, r.head) RETURNING m.delivered_seq";
    const NOW: &str = "SELECT delivered_seq FROM members WHERE room_id = $1 AND user_id = $2 AND active = 1";
    let Mark { room, user, seq } = mark;
    let user_id = text(user);
    let own: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&room, &user_id, &num(seq)];
    let moved = move_mark(conn, &mark, (SQL, own), NOW, options).await?;
    Ok(moved.map(|Moved { mark, advanced }| Delivered {
        delivered_seq: mark,
        advanced,
    }))
}

/// With a transaction only where a moved mark has more to change.
async fn move_mark(
    conn: &Conn,
    mark: &Mark<'_>,
    (sql, params): (&str, &[&(dyn tokio_postgres::types::ToSql + Sync)]),
    now: &str,
    options: &OutboxOptions,
) -> Result<Option<Moved>, Failure> {
    let takes_back = outbox::wants(options, crate::RecordKind::MessageUndelivered);
    if takes_back {
        conn.begin().await?;
    }
    let moved = conn.row(sql, params).await?;
    let moved = moved.map(|row| row.num(0)).transpose()?;
    if takes_back {
        if let Some(upto) = moved {
            outbox::acknowledged(conn, mark.room, mark.user, upto).await?;
        }
        conn.commit().await?;
    }
    if let Some(mark) = moved {
        return Ok(Some(Moved { mark, advanced: true }));
    }
    let stands = conn.row(now, &[&mark.room, &text(mark.user)]).await?;
    let stands = stands.map(|row| row.num(0)).transpose()?;
    Ok(stands.map(|mark| Moved {
        mark,
        advanced: false,
    }))
}
