//! Memberships, read and delivered marks, and unread counts.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStore,
    batch::Batch,
    column::Seq,
    history, inbox,
    member_rows::{COLUMNS, member},
    outbox, rooms, sessions, unread,
    write::Write,
};
use crate::{
    CaughtUp, Delivered, EnterRoom, Entered, Inbox, InboxCursor, Joined, Marked, Member, Members, Role,
    RoomId, RoomKind, RoomRow, StoreError, Unread, append::MAY_ENTER,
};

/// The user's active membership.
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
        "SELECT {COLUMNS} FROM members m INDEXED BY members_active
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
    // From the other users' rooms, of which they have few: the user may have thousands.
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM members b CROSS JOIN members a ON a.room_id = b.room_id
        WHERE b.user_id = ?2 AND b.active = 1 AND a.user_id = ?1 AND a.active = 1)";
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
    const SQL: &str =
        "SELECT count(*) FROM members INDEXED BY members_active WHERE room_id = ?1 AND active = 1";
    conn.prepare_cached(SQL)?
        .query_row([room], |row| Ok(row.get::<_, Seq>(0)?.0))
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
        let sql = format!(
            "INSERT INTO members (room_id, user_id, active, joined_at)
             SELECT CAST($1 AS bigint), CAST($2 AS text), 1, CAST($3 AS bigint) WHERE {MAY_ENTER}
             ON CONFLICT (room_id, user_id) DO UPDATE
             SET active = 1, joined_at = excluded.joined_at, membership = membership + 1 WHERE active = 0"
        );
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
            .prepare_cached(&sql)?
            .execute(params![self.room, self.user, self.at])?
            == 1;
        if let Entrance::IsPut(Some(role)) = self.entrance {
            conn.prepare_cached(
                "UPDATE members SET role = ?3 WHERE room_id = ?1 AND user_id = ?2 AND active = 1",
            )?
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

/// Makes the user a member, and subscribes their session.
pub(super) struct Enter(pub(super) EnterRoom);

impl Write for Enter {
    /// Without a page.
    type Answer = Option<Inside>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Option<Inside>> {
        let EnterRoom {
            user_id,
            at,
            starts_read,
            session,
            catch_up,
        } = &self.0;
        let join = Join {
            room: catch_up.room,
            user: user_id.clone(),
            at: *at,
            entrance: Entrance::Joins,
        };
        let Some(mut joined) = join.apply(batch)? else {
            return Ok(None);
        };
        if *starts_read && joined.is_first() {
            let mark = MarkRead {
                room: catch_up.room,
                user: user_id.clone(),
                seq: joined.room.head,
                at: *at,
            };
            mark.apply(batch)?;
            if let Some(member) = active(batch.conn, catch_up.room, user_id)? {
                joined.member = member;
            }
        }
        let subscribed = match *session {
            Some((key, owner)) => sessions::Subscribe {
                session: sessions::OwnedSession { key, owner },
                room: catch_up.room,
                after: catch_up.upto,
                membership: joined.member.membership,
            }
            .apply(batch)?,
            None => true,
        };
        let totals = batch.room(catch_up.room)?.map(|room| room.totals());
        let unread = match totals {
            Some(totals) => unread::count(batch.conn, &totals, user_id, joined.member.read_seq)?,
            None => Unread::default(),
        };
        Ok(Some(Inside {
            joined,
            unread,
            subscribed,
        }))
    }
}

/// A user who has entered a room.
pub(super) struct Inside {
    joined: Joined,
    unread: Unread,
    subscribed: bool,
}

impl Inside {
    /// A member who needs no write; `None` if the user is none.
    fn existing(conn: &Connection, room: RoomId, user: &str) -> rusqlite::Result<Option<Self>> {
        let (Some(row), Some(member)) = (rooms::get(conn, room)?, active(conn, room, user)?) else {
            return Ok(None);
        };
        Ok(Some(Self {
            joined: Joined {
                room: row,
                member,
                newly: false,
            },
            unread: unread::of_member(conn, room, user)?.unwrap_or_default(),
            subscribed: true,
        }))
    }

    fn with(self, page: Result<Option<CaughtUp>, StoreError>) -> Entered {
        Entered {
            joined: self.joined,
            unread: self.unread,
            subscribed: self.subscribed,
            page,
        }
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

impl Write for MarkRead {
    type Answer = Option<Marked>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Option<Marked>> {
        const SQL: &str = "UPDATE members
            SET read_seq = ?3, read_at = ?4, delivered_seq = max(delivered_seq, ?3)
            WHERE room_id = ?1 AND user_id = ?2 AND active = 1 AND read_seq < ?3";
        let conn = batch.conn;
        let Some(room) = batch.room(self.room)? else {
            return Ok(None);
        };
        let (mark, totals) = (self.seq.min(room.row.head), room.totals());
        let advanced =
            conn.prepare_cached(SQL)?
                .execute(params![self.room, self.user, Seq(mark), self.at])?
                == 1;
        if advanced {
            outbox::acknowledged(batch, self.room, &self.user, mark)?;
        }
        let Some(Member { read_seq, .. }) = active(conn, self.room, &self.user)? else {
            return Ok(None);
        };
        Ok(Some(Marked {
            read_seq,
            advanced,
            unread: unread::count(conn, &totals, &self.user, read_seq)?,
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

#[async_trait]
impl Members for SqliteStore {
    async fn enter_room(&self, ask: EnterRoom) -> Result<Option<Entered>, StoreError> {
        let (catch_up, page_bytes) = (ask.catch_up, self.page_bytes);
        if ask.session.is_none() {
            // For a member without a session it costs no commit.
            let user = ask.user_id.clone();
            let found = self.read(move |conn| match Inside::existing(conn, catch_up.room, &user)? {
                Some(inside) => Ok(Some((inside, history::catch_up(conn, &catch_up, page_bytes)?))),
                None => Ok(None),
            });
            if let Some((inside, page)) = found.await? {
                return Ok(Some(inside.with(Ok(page))));
            }
        }
        // The page is of entries that are committed, so both threads may work at the same time.
        let page = self.read(move |conn| history::catch_up(conn, &catch_up, page_bytes));
        let (inside, page) = tokio::join!(self.write(Enter(ask)), page);
        Ok(inside?.map(|inside| inside.with(page)))
    }

    async fn memberships(&self, user: &str, rooms: &[RoomId]) -> Result<Vec<Option<Member>>, StoreError> {
        let (user, rooms) = (user.to_owned(), rooms.to_vec());
        self.read(move |conn| rooms.iter().map(|room| active(conn, *room, &user)).collect())
            .await
    }

    async fn put_member(
        &self,
        room: RoomId,
        user: &str,
        role: Option<Role>,
        at: i64,
    ) -> Result<Option<Joined>, StoreError> {
        self.write(Join {
            room,
            user: user.to_owned(),
            at,
            entrance: Entrance::IsPut(role),
        })
        .await
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        let after = after.map(str::to_owned);
        self.read(move |conn| all(conn, room, after.as_deref(), limit))
            .await
    }

    async fn count_members(&self, room: RoomId) -> Result<u64, StoreError> {
        self.read(move |conn| count(conn, room)).await
    }

    async fn leave(&self, room: RoomId, user: &str) -> Result<bool, StoreError> {
        self.write(Leave {
            room,
            user: user.to_owned(),
        })
        .await
    }

    async fn member(&self, room: RoomId, user: &str) -> Result<Option<Member>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| active(conn, room, &user)).await
    }

    async fn was_member(&self, room: RoomId, user: &str) -> Result<bool, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| {
            conn.prepare_cached("SELECT 1 FROM members WHERE room_id = ?1 AND user_id = ?2")?
                .exists(params![room, user])
        })
        .await
    }

    async fn rooms_of(&self, user: &str, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| rooms::of_user(conn, &user, limit)).await
    }

    async fn sharing_a_room(&self, user: &str, others: &[String]) -> Result<Vec<String>, StoreError> {
        let (user, others) = (user.to_owned(), others.to_vec());
        self.read(move |conn| sharing_a_room(conn, &user, others)).await
    }

    async fn inbox(&self, user: &str, limit: u32, after: Option<InboxCursor>) -> Result<Inbox, StoreError> {
        let (user, page_bytes) = (user.to_owned(), self.page_bytes);
        self.read(move |conn| inbox::page(conn, &user, limit, after, page_bytes))
            .await
    }

    async fn mark_read(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
        at: i64,
    ) -> Result<Option<Marked>, StoreError> {
        self.write(MarkRead {
            room,
            user: user.to_owned(),
            seq,
            at,
        })
        .await
    }

    async fn mark_room_delivered(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
    ) -> Result<Option<Delivered>, StoreError> {
        self.write(MarkDelivered {
            room,
            user: user.to_owned(),
            seq,
        })
        .await
    }

    async fn unread(&self, room: RoomId, user: &str) -> Result<Option<Unread>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| unread::of_member(conn, room, &user)).await
    }
}
