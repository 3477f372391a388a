//! Sessions that may be taken up again, and the rooms they are subscribed to.

use std::time::Duration;

use super::{
    conn::Conn,
    failure::Failure,
    nodes,
    rooms::{self, ROOM_COLUMNS},
    value::{Columns as _, num, text},
};
use crate::{Holder, NewSession, Resume, Resumed, RoomId, SessionKey, SubscribedRoom};

/// Sessions that one call forgets at most; a few milliseconds.
const FORGET: i64 = 2_000;

/// A session as long as this node's socket has it.
#[derive(Clone, Copy)]
pub(super) struct Held {
    pub(super) node: i64,
    pub(super) key: SessionKey,
    pub(super) holder: Holder,
}

pub(super) async fn begin(conn: &Conn, node: i64, session: &NewSession) -> Result<(), Failure> {
    const SQL: &str = "INSERT INTO sessions (key, node, holder, sid, user_id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6)";
    let NewSession {
        key,
        holder,
        sid,
        user_id,
        at,
    } = session;
    conn.run(
        SQL,
        &[&&key.0[..], &node, &num(*holder), &text(sid), &text(user_id), at],
    )
    .await
    .map(drop)
}

/// The room's entries after `after` are for the session, unless it has the room already in the same membership.
pub(super) async fn subscribe(
    conn: &Conn,
    session: Held,
    room: RoomId,
    after: u64,
    membership: u64,
) -> Result<bool, Failure> {
    // Locked, so that nobody else takes it over in between.
    const SQL: &str = "WITH session AS (
            SELECT id FROM sessions WHERE key = $1 AND node = $2 AND holder = $3 FOR UPDATE),
        subscribed AS (
            INSERT INTO session_rooms AS sr (session_id, room_id, after, membership)
            SELECT id, $4, $5, $6 FROM session
            ON CONFLICT (session_id, room_id)
            DO UPDATE SET after = excluded.after, membership = excluded.membership
            WHERE sr.membership < excluded.membership)
        SELECT 1 FROM session";
    let Held { node, key, holder } = session;
    let row = conn
        .row(
            SQL,
            &[
                &&key.0[..],
                &node,
                &num(holder),
                &room,
                &num(after),
                &num(membership),
            ],
        )
        .await?;
    Ok(row.is_some())
}

pub(super) async fn unsubscribe(conn: &Conn, session: Held, rooms: &[RoomId]) -> Result<(), Failure> {
    const SQL: &str = "WITH session AS (
            SELECT id FROM sessions WHERE key = $1 AND node = $2 AND holder = $3 FOR UPDATE)
        DELETE FROM session_rooms sr USING session s WHERE sr.session_id = s.id AND sr.room_id = ANY($4)";
    let Held { node, key, holder } = session;
    conn.run(SQL, &[&&key.0[..], &node, &num(holder), &rooms])
        .await
        .map(drop)
}

/// Its connection was lost. Of the user's lost sessions the latest `keep` stay.
pub(super) async fn lose(conn: &Conn, session: Held, at: i64, keep: u32) -> Result<(), Failure> {
    // With how many of the user's were lost before.
    const LOST: &str = "UPDATE sessions s SET lost_at = $4 WHERE key = $1 AND node = $2 AND holder = $3
        RETURNING user_id, (SELECT count(*) FROM sessions o WHERE o.user_id = s.user_id AND o.lost_at IS NOT NULL)";
    const SURPLUS: &str = "DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions WHERE user_id = $1 AND lost_at IS NOT NULL
        ORDER BY lost_at DESC, id DESC OFFSET $2)";
    let Held { node, key, holder } = session;
    let lost = conn.row(LOST, &[&&key.0[..], &node, &num(holder), &at]).await?;
    if let Some(row) = lost
        && row.int(1)? >= i64::from(keep)
    {
        let user: String = row.try_get(0)?;
        conn.run(SURPLUS, &[&user, &i64::from(keep)]).await?;
    }
    Ok(())
}

pub(super) async fn end(conn: &Conn, session: Held) -> Result<(), Failure> {
    const SQL: &str = "DELETE FROM sessions WHERE key = $1 AND node = $2 AND holder = $3";
    let Held { node, key, holder } = session;
    conn.run(SQL, &[&&key.0[..], &node, &num(holder)]).await.map(drop)
}

/// The user's lost sessions are over, those that a dead node still seems to have, too.
pub(super) async fn end_lost(conn: &Conn, user: &str, limit: Duration) -> Result<(), Failure> {
    let sql = format!(
        "DELETE FROM sessions WHERE id IN (
            SELECT s.id FROM sessions s LEFT JOIN nodes n ON n.id = s.node WHERE s.user_id = $2 AND {} IS NOT NULL)",
        nodes::lost_at()
    );
    conn.run(&sql, &[&limit.as_secs_f64(), &text(user)])
        .await
        .map(drop)
}

/// Gives a session to a socket of this node, whoever had it before.
pub(super) async fn take(
    conn: &Conn,
    node: i64,
    ask: &Resume,
    limit: Duration,
) -> Result<Option<Resumed>, Failure> {
    const TAKE: &str = "UPDATE sessions SET node = $2, holder = $3, lost_at = NULL WHERE id = $1";
    let find = format!(
        "SELECT s.id, s.sid, {} FROM sessions s LEFT JOIN nodes n ON n.id = s.node
         WHERE s.key = $2 AND s.user_id = $3 FOR UPDATE OF s",
        nodes::lost_at()
    );
    conn.begin().await?;
    let found = conn
        .row(
            &find,
            &[&limit.as_secs_f64(), &&ask.key.0[..], &text(&ask.user_id)],
        )
        .await?;
    let Some(found) = found else {
        conn.roll_back().await?;
        return Ok(None);
    };
    let (id, sid, lost_at) = (found.int(0)?, found.text(1)?, found.opt_int(2)?);
    let in_time = lost_at.is_none_or(|at| at >= ask.lost_since);
    let rooms = if in_time {
        rooms(conn, id, &ask.user_id).await?
    } else {
        None
    };
    let resumed = if let Some(rooms) = rooms {
        conn.run(TAKE, &[&id, &node, &num(ask.holder)]).await?;
        Some(Resumed { sid, rooms })
    } else {
        conn.run("DELETE FROM sessions WHERE id = $1", &[&id]).await?;
        None
    };
    conn.commit().await?;
    Ok(resumed)
}

/// The rooms of a session; `None` if its user was not a member of one of them all the time.
async fn rooms(conn: &Conn, session: i64, user: &str) -> Result<Option<Vec<SubscribedRoom>>, Failure> {
    let sql = format!(
        "SELECT {ROOM_COLUMNS}, sr.after, m.user_id IS NOT NULL FROM session_rooms sr
            LEFT JOIN rooms r ON r.id = sr.room_id
            LEFT JOIN members m ON m.room_id = r.id AND m.user_id = $2 AND m.active = 1
                AND m.membership = sr.membership
         WHERE sr.session_id = $1 ORDER BY sr.room_id"
    );
    let mut subscribed = Vec::new();
    for row in conn.rows(&sql, &[&session, &text(user)]).await? {
        if !row.flag(9)? {
            return Ok(None);
        }
        subscribed.push(SubscribedRoom {
            room: rooms::room(&row)?,
            after: row.num(8)?,
        });
    }
    Ok(Some(subscribed))
}

/// Forgets sessions that were lost before a time, as many as one call may.
pub(super) async fn forget(conn: &Conn, lost_before: i64, limit: Duration) -> Result<(), Failure> {
    let sql = format!(
        "DELETE FROM sessions WHERE id IN (
            SELECT s.id FROM sessions s LEFT JOIN nodes n ON n.id = s.node WHERE {} < $2 LIMIT $3)",
        nodes::lost_at()
    );
    conn.run(&sql, &[&limit.as_secs_f64(), &lost_before, &FORGET])
        .await
        .map(drop)
}
