//! Sessions that clients can resume, and their subscriptions to rooms.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    batch::{Batch, ROOM_COLUMNS, room_row},
    column::Seq,
    write::Write,
};
use crate::{NewSession, Resume, Resumed, RoomId, SessionKey, SessionOwner, Subscribed, SubscribedRoom};

/// Sessions that one call deletes at most; a few milliseconds.
const FORGET: u32 = 2_000;

pub(super) struct Begin(pub(super) NewSession);

impl Write for Begin {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        const SQL: &str = "INSERT INTO sessions (key, owner, sid, user_id, created_at)
            VALUES (?1, ?2, ?3, ?4, ?5)";
        let NewSession {
            key,
            owner,
            sid,
            user_id,
            at,
        } = &self.0;
        batch
            .conn
            .prepare_cached(SQL)?
            .execute(params![key.0, Seq(*owner), sid, user_id, at])?;
        Ok(())
    }
}

/// A session while this connection owns it.
#[derive(Clone, Copy)]
pub(super) struct OwnedSession {
    pub(super) key: SessionKey,
    pub(super) owner: SessionOwner,
}

impl OwnedSession {
    fn id(self, conn: &Connection) -> rusqlite::Result<Option<i64>> {
        conn.prepare_cached("SELECT id FROM sessions WHERE key = ?1 AND owner = ?2")?
            .query_row(params![self.key.0, Seq(self.owner)], |row| row.get(0))
            .optional()
    }
}

pub(super) struct Subscribe {
    pub(super) session: OwnedSession,
    pub(super) room: RoomId,
    pub(super) after: u64,
    pub(super) membership: u64,
}

impl Write for Subscribe {
    type Answer = bool;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<bool> {
        const SQL: &str =
            "INSERT INTO session_rooms (session_id, room_id, after, membership) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (session_id, room_id)
            DO UPDATE SET after = excluded.after, membership = excluded.membership
            WHERE membership < excluded.membership";
        let Some(id) = self.session.id(batch.conn)? else {
            return Ok(false);
        };
        batch.conn.prepare_cached(SQL)?.execute(params![
            id,
            self.room,
            Seq(self.after),
            Seq(self.membership)
        ])?;
        Ok(true)
    }
}

/// See [`crate::Sessions::subscribe_all`].
pub(super) struct SubscribeAll {
    pub(super) session: OwnedSession,
    pub(super) user: String,
    pub(super) rooms: Vec<(RoomId, u64)>,
}

impl Write for SubscribeAll {
    type Answer = Subscribed;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Subscribed> {
        const SQL: &str = "SELECT membership FROM members WHERE room_id = ?1 AND user_id = ?2 AND active = 1";
        let mut memberships = Vec::with_capacity(self.rooms.len());
        let mut membership = batch.conn.prepare_cached(SQL)?;
        for (room, _) in &self.rooms {
            let found = membership.query_row(params![room, self.user], |row| row.get::<_, Seq>(0));
            let Some(Seq(found)) = found.optional()? else {
                return Ok(Subscribed::NotMember);
            };
            memberships.push(found);
        }
        drop(membership);
        for (&(room, after), membership) in self.rooms.iter().zip(memberships) {
            let session = self.session;
            let subscribe = Subscribe {
                session,
                room,
                after,
                membership,
            };
            if !subscribe.apply(batch)? {
                return Ok(Subscribed::NotOwner);
            }
        }
        Ok(Subscribed::All)
    }
}

/// Whether the session is still owned by the owner, and its user a member of all its rooms since it
/// subscribed.
pub(super) fn is_complete(conn: &Connection, session: OwnedSession) -> rusqlite::Result<bool> {
    const SQL: &str = "SELECT NOT EXISTS (SELECT 1 FROM session_rooms sr
            LEFT JOIN members m ON m.room_id = sr.room_id AND m.user_id = s.user_id AND m.active = 1
                AND m.membership = sr.membership
            WHERE sr.session_id = s.id AND m.user_id IS NULL)
        FROM sessions s WHERE s.key = ?1 AND s.owner = ?2";
    let complete = conn
        .prepare_cached(SQL)?
        .query_row(params![session.key.0, Seq(session.owner)], |row| row.get(0))
        .optional()?;
    Ok(complete.unwrap_or(false))
}

pub(super) struct Unsubscribe {
    pub(super) session: OwnedSession,
    pub(super) rooms: Vec<RoomId>,
}

impl Write for Unsubscribe {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        if let Some(id) = self.session.id(batch.conn)? {
            let mut delete = batch
                .conn
                .prepare_cached("DELETE FROM session_rooms WHERE session_id = ?1 AND room_id = ?2")?;
            for room in &self.rooms {
                delete.execute(params![id, room])?;
            }
        }
        Ok(())
    }
}

pub(super) struct Lose {
    pub(super) session: OwnedSession,
    pub(super) at: i64,
    pub(super) keep: u32,
}

impl Write for Lose {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        const SURPLUS: &str = "DELETE FROM sessions WHERE id IN (
            SELECT o.id FROM sessions s JOIN sessions o ON o.user_id = s.user_id AND o.lost_at IS NOT NULL
            WHERE s.id = ?1 ORDER BY o.lost_at DESC, o.id DESC LIMIT -1 OFFSET ?2)";
        if let Some(id) = self.session.id(batch.conn)? {
            batch
                .conn
                .prepare_cached("UPDATE sessions SET lost_at = ?2 WHERE id = ?1")?
                .execute(params![id, self.at])?;
            batch
                .conn
                .prepare_cached(SURPLUS)?
                .execute(params![id, self.keep])?;
        }
        Ok(())
    }
}

pub(super) struct End(pub(super) OwnedSession);

impl Write for End {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        if let Some(id) = self.0.id(batch.conn)? {
            delete(batch.conn, id)?;
        }
        Ok(())
    }
}

/// Deletes the user's lost sessions.
pub(super) struct EndLost(pub(super) String);

impl Write for EndLost {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        batch
            .conn
            .prepare_cached("DELETE FROM sessions WHERE user_id = ?1 AND lost_at IS NOT NULL")?
            .execute([&self.0])?;
        Ok(())
    }
}

pub(super) struct Take(pub(super) Resume);

impl Write for Take {
    type Answer = Option<Resumed>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Option<Resumed>> {
        const SQL: &str = "SELECT id, sid, lost_at FROM sessions WHERE key = ?1 AND user_id = ?2";
        let ask = &self.0;
        let found = batch
            .conn
            .prepare_cached(SQL)?
            .query_row(params![ask.key.0, ask.user_id], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<i64>>(2)?))
            })
            .optional()?;
        let Some((id, sid, lost_at)) = found else {
            return Ok(None);
        };
        let in_time = lost_at.is_none_or(|at| at >= ask.lost_since);
        let rooms = if in_time {
            rooms(batch, id, &ask.user_id)?
        } else {
            None
        };
        let Some(rooms) = rooms else {
            delete(batch.conn, id)?;
            return Ok(None);
        };
        batch
            .conn
            .prepare_cached("UPDATE sessions SET owner = ?2, lost_at = NULL WHERE id = ?1")?
            .execute(params![id, Seq(ask.owner)])?;
        Ok(Some(Resumed { sid, rooms }))
    }
}

/// The rooms of a session; `None` if its user left one of them meanwhile.
fn rooms(batch: &mut Batch<'_>, session: i64, user: &str) -> rusqlite::Result<Option<Vec<SubscribedRoom>>> {
    let sql = format!(
        "SELECT {ROOM_COLUMNS}, sr.after FROM session_rooms sr
            JOIN rooms r ON r.id = sr.room_id
            JOIN members m ON m.room_id = sr.room_id AND m.user_id = ?2
         WHERE sr.session_id = ?1 AND m.active = 1 AND m.membership = sr.membership"
    );
    let subscribed: i64 = batch
        .conn
        .prepare_cached("SELECT count(*) FROM session_rooms WHERE session_id = ?1")?
        .query_row([session], |row| row.get(0))?;
    let rooms = batch
        .conn
        .prepare_cached(&sql)?
        .query_map(params![session, user], |row| {
            Ok(SubscribedRoom {
                room: room_row(row)?,
                after: row.get::<_, Seq>("after")?.0,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok((usize::try_from(subscribed) == Ok(rooms.len())).then_some(rooms))
}

fn delete(conn: &Connection, session: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM sessions WHERE id = ?1")?
        .execute([session])?;
    Ok(())
}

/// Marks all sessions as lost, for a process that starts.
pub(super) struct LoseAll;

impl Write for LoseAll {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        const SQL: &str =
            "UPDATE sessions SET lost_at = (SELECT alive_at FROM log_head), owner = 0 WHERE lost_at IS NULL";
        batch.conn.prepare_cached(SQL)?.execute([])?;
        Ok(())
    }
}

pub(super) struct Alive {
    pub(super) at: i64,
    pub(super) lost_before: i64,
}

impl Write for Alive {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        const FORGOTTEN: &str = "DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE lost_at IS NOT NULL AND lost_at < ?1 LIMIT ?2)";
        batch
            .conn
            .prepare_cached("UPDATE log_head SET alive_at = ?1")?
            .execute([self.at])?;
        batch
            .conn
            .prepare_cached(FORGOTTEN)?
            .execute(params![self.lost_before, FORGET])?;
        Ok(())
    }
}
