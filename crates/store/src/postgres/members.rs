//! Memberships, read and delivered marks, and unread counts.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    conn::Conn,
    failure::Failure,
    history, inbox,
    member_rows::{COLUMNS, member},
    moderation, outbox, rooms, sessions, unread,
    value::{Columns as _, num, text},
};
use crate::{
    Delivered, EnterRoom, Entered, Inbox, InboxCursor, Joined, Marked, Member, Members, OutboxOptions, Role,
    RoomId, RoomKind, RoomRow, StoreError, Unread, append::MAY_ENTER, numbers::Numbered as _,
};

/// The user's active membership.
pub(super) async fn active(conn: &Conn, room: RoomId, user: &str) -> Result<Option<Member>, Failure> {
    let sql =
        format!("SELECT {COLUMNS} FROM members m WHERE m.room_id = $1 AND m.user_id = $2 AND m.active = 1");
    let row = conn.row(&sql, &[&room, &text(user)]).await?;
    row.map(|row| member(&row, 0)).transpose()
}

/// Members by id.
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

/// The room and the user's membership. Users who rejoin after a reconnect cost no commit.
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

/// See [`Members::memberships`].
async fn memberships(conn: &Conn, user: &str, rooms: &[RoomId]) -> Result<Vec<Option<Member>>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS}, t.at FROM unnest($1::bigint[]) WITH ORDINALITY t (room_id, at)
         JOIN members m ON m.room_id = t.room_id AND m.user_id = $2 AND m.active = 1"
    );
    let mut found: Vec<_> = rooms.iter().map(|_| None).collect();
    for row in conn.rows(&sql, &[&rooms, &text(user)]).await? {
        if let Some(slot) = found.get_mut(row.ordinal(7)?) {
            *slot = Some(member(&row, 0)?);
        }
    }
    Ok(found)
}

/// How a user enters a room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// The user joins: not possible in a private room.
    Joins,
    /// The backend adds the user, with this role or the current one.
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
    const ROLE: &str = "UPDATE members SET role = $3 WHERE room_id = $1 AND user_id = $2 AND active = 1";
    // The lock prevents removal and a change of kind, and does not wait for appends.
    const ROOM: &str = "SELECT r.kind FROM rooms r WHERE r.id = $1 FOR KEY SHARE";
    let sql = format!(
        "INSERT INTO members AS m (room_id, user_id, active, joined_at)
         SELECT CAST($1 AS bigint), CAST($2 AS text), 1, CAST($3 AS bigint) WHERE {MAY_ENTER}
         ON CONFLICT (room_id, user_id) DO UPDATE
         SET active = 1, joined_at = excluded.joined_at, membership = m.membership + 1 WHERE m.active = 0"
    );
    let user_id = text(user);
    conn.begin().await?;
    let Some(kind) = conn.row(ROOM, &[&room]).await? else {
        conn.roll_back().await?;
        return Ok(None);
    };
    let closed = entrance == Entrance::Joins && kind.kind::<RoomKind>(0)? == RoomKind::Private;
    if !closed {
        moderation::lock_out_bans(conn, user).await?;
    }
    let newly = !closed && conn.run(&sql, &[&room, &user_id, &at]).await? == 1;
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

/// A mark of a user in a room: an entry, or the room's head if that is lower.
pub(super) struct Mark<'a> {
    pub(super) room: RoomId,
    pub(super) user: &'a str,
    pub(super) seq: u64,
}

/// A mark, and whether this call moved it.
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

/// Opens a transaction only if a moved mark changes the outbox too.
async fn move_mark(
    conn: &Conn,
    mark: &Mark<'_>,
    (sql, params): (&str, &[&(dyn tokio_postgres::types::ToSql + Sync)]),
    now: &str,
    options: &OutboxOptions,
) -> Result<Option<Moved>, Failure> {
    let takes_back = options.wants(crate::RecordKind::MessageUndelivered);
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

#[async_trait]
impl Members for PostgresStore {
    async fn enter_room(&self, ask: EnterRoom) -> Result<Option<Entered>, StoreError> {
        let conn = self.conn().await?;
        let (room, user) = (ask.catch_up.room, &*ask.user_id);
        let joined = match self.checked(rejoin(&conn, room, user).await)? {
            None => self.checked(join(&conn, room, user, ask.at, Entrance::Joins).await)?,
            joined => joined,
        };
        let Some(mut joined) = joined else {
            return Ok(None);
        };
        if ask.starts_read && joined.is_first() {
            let mark = Mark {
                room,
                user,
                seq: joined.room.head,
            };
            let outbox = &self.shared.options.outbox;
            self.checked(mark_read(&conn, mark, ask.at, outbox).await)?;
            if let Some(marked) = self.checked(active(&conn, room, user).await)? {
                joined.member = marked;
            }
        }
        let subscribed = match ask.session {
            Some((key, owner)) => {
                let (session, after) = (self.owned_session(key, owner), ask.catch_up.upto);
                let subscribed = sessions::subscribe(&conn, session, room, after, joined.member.membership);
                self.checked(subscribed.await)?
            }
            None => true,
        };
        let unread = self.checked(unread::of_member(&conn, room, user).await)?;
        let page = history::catch_up(&conn, &ask.catch_up, self.shared.options.page_bytes).await;
        Ok(Some(Entered {
            joined,
            unread: unread.unwrap_or_default(),
            subscribed,
            page: self.checked(page),
        }))
    }

    async fn memberships(&self, user: &str, rooms: &[RoomId]) -> Result<Vec<Option<Member>>, StoreError> {
        self.checked(memberships(&self.conn().await?, user, rooms).await)
    }

    async fn put_member(
        &self,
        room: RoomId,
        user: &str,
        role: Option<Role>,
        at: i64,
    ) -> Result<Option<Joined>, StoreError> {
        let entrance = Entrance::IsPut(role);
        self.checked(join(&self.conn().await?, room, user, at, entrance).await)
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        self.checked(all(&self.conn().await?, room, after, limit).await)
    }

    async fn count_members(&self, room: RoomId) -> Result<u64, StoreError> {
        self.checked(count(&self.conn().await?, room).await)
    }

    async fn leave(&self, room: RoomId, user: &str) -> Result<bool, StoreError> {
        self.checked(leave(&self.conn().await?, room, user).await)
    }

    async fn member(&self, room: RoomId, user: &str) -> Result<Option<Member>, StoreError> {
        self.checked(active(&self.conn().await?, room, user).await)
    }

    async fn was_member(&self, room: RoomId, user: &str) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT 1 FROM members WHERE room_id = $1 AND user_id = $2";
        let row = self.conn().await?.row(SQL, &[&room, &text(user)]).await;
        Ok(self.checked(row)?.is_some())
    }

    async fn rooms_of(&self, user: &str, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
        self.counted(
            self.batched_calls
                .rooms_of_users
                .ask((user.to_owned(), limit))
                .await,
        )
    }

    async fn sharing_a_room(&self, user: &str, others: &[String]) -> Result<Vec<String>, StoreError> {
        self.checked(sharing_a_room(&self.conn().await?, user, others).await)
    }

    async fn inbox(&self, user: &str, limit: u32, after: Option<InboxCursor>) -> Result<Inbox, StoreError> {
        let page_bytes = self.shared.options.page_bytes;
        self.checked(inbox::page(&self.conn().await?, user, limit, after, page_bytes).await)
    }

    async fn mark_read(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
        at: i64,
    ) -> Result<Option<Marked>, StoreError> {
        let (conn, outbox) = (self.conn().await?, &self.shared.options.outbox);
        let mark = Mark { room, user, seq };
        let moved = self.checked(mark_read(&conn, mark, at, outbox).await)?;
        let Some(Moved { mark, advanced }) = moved else {
            return Ok(None);
        };
        let unread = self.checked(unread::of_member(&conn, room, user).await)?;
        Ok(unread.map(|unread| Marked {
            read_seq: mark,
            advanced,
            unread,
        }))
    }

    async fn mark_room_delivered(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
    ) -> Result<Option<Delivered>, StoreError> {
        let (conn, outbox) = (self.conn().await?, &self.shared.options.outbox);
        let mark = Mark { room, user, seq };
        self.checked(mark_delivered(&conn, mark, outbox).await)
    }

    async fn unread(&self, room: RoomId, user: &str) -> Result<Option<Unread>, StoreError> {
        self.checked(unread::of_member(&self.conn().await?, room, user).await)
    }
}
