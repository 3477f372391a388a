//! Sessions that clients can resume, and their subscriptions to rooms.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use super::{
    conn::Conn,
    failure::Failure,
    nodes,
    rooms::{self, ROOM_COLUMNS},
    value::{Columns as _, num, text},
};
use crate::{NewSession, Resume, Resumed, RoomId, SessionKey, SessionOwner, Subscribed, SubscribedRoom};

/// Sessions that one call deletes at most; a few milliseconds.
const FORGET: i64 = 2_000;

/// A session while this node's socket owns it.
#[derive(Clone, Copy)]
pub(super) struct OwnedSession {
    pub(super) node: i64,
    pub(super) key: SessionKey,
    pub(super) owner: SessionOwner,
}

pub(super) async fn begin_all(conn: &Conn, node: i64, sessions: Vec<NewSession>) -> Result<Vec<()>, Failure> {
    const SQL: &str = "INSERT INTO sessions (node, key, owner, sid, user_id, created_at)
        SELECT $1, * FROM unnest($2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::bigint[])";
    let keys: Vec<_> = sessions.iter().map(|session| &session.key.0[..]).collect();
    let owners: Vec<_> = sessions.iter().map(|session| num(session.owner)).collect();
    let sids: Vec<_> = sessions.iter().map(|session| text(&session.sid)).collect();
    let users: Vec<_> = sessions.iter().map(|session| text(&session.user_id)).collect();
    let times: Vec<_> = sessions.iter().map(|session| session.at).collect();
    conn.run(SQL, &[&node, &keys, &owners, &sids, &users, &times])
        .await?;
    Ok(vec![(); sessions.len()])
}

/// Subscribes the session to the room's entries after `after`, unless it is subscribed in the same
/// membership.
pub(super) async fn subscribe(
    conn: &Conn,
    session: OwnedSession,
    room: RoomId,
    after: u64,
    membership: u64,
) -> Result<bool, Failure> {
    // Locked, so that no other connection takes it over in between.
    const SQL: &str = "WITH session AS (
            SELECT id FROM sessions WHERE key = $1 AND node = $2 AND owner = $3 FOR UPDATE),
        subscribed AS (
            INSERT INTO session_rooms AS sr (session_id, room_id, after, membership)
            SELECT id, $4, $5, $6 FROM session
            ON CONFLICT (session_id, room_id)
            DO UPDATE SET after = excluded.after, membership = excluded.membership
            WHERE sr.membership < excluded.membership)
        SELECT 1 FROM session";
    let OwnedSession { node, key, owner } = session;
    let row = conn
        .row(
            SQL,
            &[
                &&key.0[..],
                &node,
                &num(owner),
                &room,
                &num(after),
                &num(membership),
            ],
        )
        .await?;
    Ok(row.is_some())
}

/// See [`crate::Sessions::subscribe_all`].
pub(super) async fn subscribe_all(
    conn: &Conn,
    session: OwnedSession,
    user: &str,
    rooms: &[(RoomId, u64)],
) -> Result<Subscribed, Failure> {
    const SQL: &str = "WITH session AS (
            SELECT id FROM sessions WHERE key = $1 AND node = $2 AND owner = $3 FOR UPDATE),
        wanted AS (
            SELECT t.room_id, t.after, m.membership FROM unnest($5::bigint[], $6::bigint[]) t (room_id, after)
            JOIN members m ON m.room_id = t.room_id AND m.user_id = $4 AND m.active = 1),
        subscribed AS (
            INSERT INTO session_rooms AS sr (session_id, room_id, after, membership)
            SELECT s.id, w.room_id, w.after, w.membership FROM session s, wanted w
            WHERE (SELECT count(*) FROM wanted) = $7
            ON CONFLICT (session_id, room_id)
            DO UPDATE SET after = excluded.after, membership = excluded.membership
            WHERE sr.membership < excluded.membership)
        SELECT (SELECT count(*) FROM wanted) = $7, EXISTS (SELECT 1 FROM session)";
    let OwnedSession { node, key, owner } = session;
    let (ids, after): (Vec<_>, Vec<_>) = rooms.iter().map(|(room, after)| (*room, num(*after))).unzip();
    let row = conn
        .one(
            SQL,
            &[
                &&key.0[..],
                &node,
                &num(owner),
                &text(user),
                &ids,
                &after,
                &num(rooms.len() as u64),
            ],
        )
        .await?;
    Ok(match (row.flag(0)?, row.flag(1)?) {
        (false, _) => Subscribed::NotMember,
        (true, false) => Subscribed::NotOwner,
        (true, true) => Subscribed::All,
    })
}

/// Which of these sessions of this node are complete: their user has been a member of all their rooms since
/// they subscribed.
pub(super) async fn complete(
    conn: &Conn,
    node: i64,
    sessions: &[(SessionKey, SessionOwner)],
) -> Result<HashSet<(SessionKey, SessionOwner)>, Failure> {
    const SQL: &str = "SELECT t.at FROM unnest($1::bytea[], $2::bigint[]) WITH ORDINALITY t (key, owner, at)
        JOIN sessions s ON s.key = t.key AND s.owner = t.owner AND s.node = $3
        WHERE NOT EXISTS (SELECT 1 FROM session_rooms sr
            LEFT JOIN members m ON m.room_id = sr.room_id AND m.user_id = s.user_id AND m.active = 1
                AND m.membership = sr.membership
            WHERE sr.session_id = s.id AND m.user_id IS NULL)";
    if sessions.is_empty() {
        return Ok(HashSet::new());
    }
    let keys: Vec<_> = sessions.iter().map(|(key, _)| &key.0[..]).collect();
    let owners: Vec<_> = sessions.iter().map(|(_, owner)| num(*owner)).collect();
    let mut complete = HashSet::new();
    for row in conn.rows(SQL, &[&keys, &owners, &node]).await? {
        complete.extend(sessions.get(row.ordinal(0)?).copied());
    }
    Ok(complete)
}

pub(super) async fn unsubscribe(conn: &Conn, session: OwnedSession, rooms: &[RoomId]) -> Result<(), Failure> {
    const SQL: &str = "WITH session AS (
            SELECT id FROM sessions WHERE key = $1 AND node = $2 AND owner = $3 FOR UPDATE)
        DELETE FROM session_rooms sr USING session s WHERE sr.session_id = s.id AND sr.room_id = ANY($4)";
    let OwnedSession { node, key, owner } = session;
    conn.run(SQL, &[&&key.0[..], &node, &num(owner), &rooms])
        .await
        .map(drop)
}

/// A lost connection, and how many lost sessions of its user are kept.
#[derive(Clone, Copy)]
pub(super) struct Lost {
    pub(super) key: SessionKey,
    pub(super) owner: SessionOwner,
    pub(super) at: i64,
    pub(super) keep: u32,
}

/// Records lost connections of this node. Keeps the latest lost sessions of each user.
pub(super) async fn lose_all(conn: &Conn, node: i64, lost: Vec<Lost>) -> Result<Vec<()>, Failure> {
    // Locked in the order of ids, then changed. Selects the users with more lost sessions than are kept.
    const LOST: &str = "WITH lost AS MATERIALIZED (
            SELECT s.id, s.user_id, t.at, t.keep
            FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[]) t (key, owner, at, keep)
            JOIN sessions s ON s.key = t.key AND s.node = $5 AND s.owner = t.owner
            ORDER BY s.id FOR UPDATE OF s),
        noted AS (UPDATE sessions s SET lost_at = l.at FROM lost l WHERE s.id = l.id)
        SELECT l.user_id, max(l.keep) FROM lost l GROUP BY l.user_id
        HAVING count(*) + (SELECT count(*) FROM sessions o
            WHERE o.user_id = l.user_id AND o.lost_at IS NOT NULL
                AND o.id <> ALL (array_agg(l.id))) > max(l.keep)";
    const SURPLUS: &str = "DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions WHERE user_id = $1 AND lost_at IS NOT NULL
        ORDER BY lost_at DESC, id DESC OFFSET $2)";
    let keys: Vec<_> = lost.iter().map(|lost| &lost.key.0[..]).collect();
    let column = |of: fn(&Lost) -> i64| lost.iter().map(of).collect::<Vec<_>>();
    let (owners, times, keep) = (
        column(|lost| num(lost.owner)),
        column(|lost| lost.at),
        column(|lost| i64::from(lost.keep)),
    );
    for row in conn.rows(LOST, &[&keys, &owners, &times, &keep, &node]).await? {
        let (user, keep): (String, i64) = (row.try_get(0)?, row.int(1)?);
        conn.run(SURPLUS, &[&user, &keep]).await?;
    }
    Ok(vec![(); lost.len()])
}

pub(super) async fn end(conn: &Conn, session: OwnedSession) -> Result<(), Failure> {
    const SQL: &str = "DELETE FROM sessions WHERE key = $1 AND node = $2 AND owner = $3";
    let OwnedSession { node, key, owner } = session;
    conn.run(SQL, &[&&key.0[..], &node, &num(owner)]).await.map(drop)
}

/// Deletes the user's lost sessions, those of dead nodes included.
pub(super) async fn end_lost(conn: &Conn, user: &str, limit: Duration) -> Result<(), Failure> {
    let sql = format!(
        "DELETE FROM sessions WHERE id IN (
            SELECT s.id FROM sessions s LEFT JOIN nodes n ON n.id = s.node
            WHERE s.user_id = $2 AND {} IS NOT NULL)",
        nodes::lost_at()
    );
    conn.run(&sql, &[&limit.as_secs_f64(), &text(user)])
        .await
        .map(drop)
}

/// A session to resume.
struct Found {
    id: i64,
    sid: String,
    /// Whether it has not expired.
    in_time: bool,
    rooms: Rooms,
}

/// The rooms of a session; `None` if its user left one of them meanwhile.
type Rooms = Option<Vec<SubscribedRoom>>;

/// Gives sessions to sockets of this node, whichever node owned them before.
pub(super) async fn take_all(
    conn: &Conn,
    node: i64,
    asks: Vec<Resume>,
    limit: Duration,
) -> Result<Vec<Option<Resumed>>, Failure> {
    const TAKE: &str = "UPDATE sessions s SET node = $3, owner = t.owner, lost_at = NULL
        FROM unnest($1::bigint[], $2::bigint[]) t (id, owner) WHERE s.id = t.id";
    conn.begin().await?;
    let found = find_all(conn, &asks, limit).await?;
    let (mut taken, mut over) = (BTreeMap::new(), Vec::new());
    let mut resumed = Vec::with_capacity(asks.len());
    for (ask, found) in asks.iter().zip(found) {
        resumed.push(match found {
            Some(Found {
                id,
                sid,
                in_time: true,
                rooms: Some(rooms),
            }) => {
                // If two connections ask, the later one owns it.
                taken.insert(id, num(ask.owner));
                Some(Resumed { sid, rooms })
            }
            Some(found) => {
                over.push(found.id);
                None
            }
            None => None,
        });
    }
    if !taken.is_empty() {
        let (ids, owners): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
        conn.run(TAKE, &[&ids, &owners, &node]).await?;
    }
    if !over.is_empty() {
        conn.run("DELETE FROM sessions WHERE id = ANY($1)", &[&over])
            .await?;
    }
    conn.commit().await?;
    Ok(resumed)
}

/// The requested sessions, locked.
async fn find_all(conn: &Conn, asks: &[Resume], limit: Duration) -> Result<Vec<Option<Found>>, Failure> {
    let find = format!(
        "SELECT t.at, s.id, s.sid, {}
         FROM unnest($2::bytea[], $3::text[]) WITH ORDINALITY t (key, user_id, at)
         JOIN sessions s ON s.key = t.key AND s.user_id = t.user_id LEFT JOIN nodes n ON n.id = s.node
         ORDER BY s.id, t.at FOR UPDATE OF s",
        nodes::lost_at()
    );
    let keys: Vec<_> = asks.iter().map(|ask| &ask.key.0[..]).collect();
    let users: Vec<_> = asks.iter().map(|ask| text(&ask.user_id)).collect();
    let rows = conn.rows(&find, &[&limit.as_secs_f64(), &keys, &users]).await?;
    let ids = rows.iter().map(|row| row.int(1)).collect::<Result<Vec<_>, _>>()?;
    let rooms = rooms(conn, &ids).await?;
    let mut found: Vec<Option<Found>> = asks.iter().map(|_| None).collect();
    for row in &rows {
        let (at, id, lost_at) = (row.ordinal(0)?, row.int(1)?, row.opt_int(3)?);
        if let (Some(ask), Some(slot)) = (asks.get(at), found.get_mut(at)) {
            *slot = Some(Found {
                id,
                sid: row.text(2)?,
                in_time: lost_at.is_none_or(|at| at >= ask.lost_since),
                rooms: rooms.get(&id).cloned().unwrap_or_else(|| Some(Vec::new())),
            });
        }
    }
    Ok(found)
}

/// The rooms of sessions with subscriptions.
async fn rooms(conn: &Conn, sessions: &[i64]) -> Result<HashMap<i64, Rooms>, Failure> {
    let sql = format!(
        "SELECT {ROOM_COLUMNS}, sr.after, m.user_id IS NOT NULL, s.id FROM sessions s
            JOIN session_rooms sr ON sr.session_id = s.id LEFT JOIN rooms r ON r.id = sr.room_id
            LEFT JOIN members m ON m.room_id = r.id AND m.user_id = s.user_id AND m.active = 1
                AND m.membership = sr.membership
         WHERE s.id = ANY($1) ORDER BY sr.room_id"
    );
    let mut found: HashMap<i64, Rooms> = HashMap::new();
    for row in conn.rows(&sql, &[&sessions]).await? {
        let rooms = found.entry(row.int(10)?).or_insert_with(|| Some(Vec::new()));
        if !row.flag(9)? {
            *rooms = None;
        } else if let Some(rooms) = rooms {
            rooms.push(SubscribedRoom {
                room: rooms::room(&row)?,
                after: row.num(8)?,
            });
        }
    }
    Ok(found)
}

/// Deletes sessions that were lost before a time, up to the limit of one call.
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
