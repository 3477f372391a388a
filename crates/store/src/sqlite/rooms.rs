//! [`Rooms`] for SQLite: finding, creating, changing, deleting and listing rooms.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStore,
    batch::{Batch, ROOM_COLUMNS, room_row},
    column::Seq,
    outbox, retention,
    statement::execute,
    usage,
    write::Write,
};
use crate::{Retention, RoomChange, RoomId, RoomRow, Rooms, StoreError, append, append::day_of};

pub(super) fn find(conn: &Connection, name: &str) -> rusqlite::Result<Option<RoomRow>> {
    conn.prepare_cached(&format!("SELECT {ROOM_COLUMNS} FROM rooms r WHERE r.name = ?1"))?
        .query_row([name], room_row)
        .optional()
}

pub(super) fn get(conn: &Connection, id: RoomId) -> rusqlite::Result<Option<RoomRow>> {
    conn.prepare_cached(&format!("SELECT {ROOM_COLUMNS} FROM rooms r WHERE r.id = ?1"))?
        .query_row([id], room_row)
        .optional()
}

pub(super) fn of_user(conn: &Connection, user: &str, limit: u32) -> rusqlite::Result<Vec<RoomRow>> {
    conn.prepare_cached(&format!(
        "SELECT {ROOM_COLUMNS} FROM members m JOIN rooms r ON r.id = m.room_id
         WHERE m.user_id = ?1 AND m.active = 1 ORDER BY m.joined_at DESC, m.room_id DESC LIMIT ?2"
    ))?
    .query_map(params![user, limit], room_row)?
    .collect()
}

/// Rooms by name.
pub(super) fn all(conn: &Connection, after: Option<&str>, limit: u32) -> rusqlite::Result<Vec<RoomRow>> {
    // No name is empty, so every name follows the empty one.
    conn.prepare_cached(&format!(
        "SELECT {ROOM_COLUMNS} FROM rooms r WHERE r.name > ?1 ORDER BY r.name LIMIT ?2"
    ))?
    .query_map(params![after.unwrap_or_default(), limit], room_row)?
    .collect()
}

/// Creates a room unless the name exists.
pub(super) struct Create {
    pub(super) name: String,
    pub(super) at: i64,
}

impl Write for Create {
    type Answer = RoomRow;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<RoomRow> {
        let conn = batch.conn;
        if let Some(room) = find(conn, &self.name)? {
            // The head after the writes of this batch so far.
            return Ok(batch.room(room.id)?.map_or(room, |tail| tail.row.clone()));
        }
        let id = insert(conn, &self.name, self.at)?;
        let room = get(conn, id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        outbox::created(batch, &room)?;
        Ok(room)
    }
}

/// Creates a room for a user unless the name exists. `None` if the user has created too many today.
pub(super) struct CreateFor {
    pub(super) name: String,
    pub(super) user: String,
    pub(super) at: i64,
}

impl Write for CreateFor {
    type Answer = Option<RoomRow>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Option<RoomRow>> {
        let (conn, quota, day) = (batch.conn, batch.quotas.daily_rooms, day_of(self.at));
        let is_new = find(conn, &self.name)?.is_none();
        if is_new && quota > 0 {
            if usage::of(conn, &self.user, day)?.rooms >= quota {
                return Ok(None);
            }
            usage::count(conn, &self.user, day, 1, 0)?;
        }
        let create = Create {
            name: self.name.clone(),
            at: self.at,
        };
        let room = create.apply(batch)?;
        if is_new {
            conn.prepare_cached("INSERT INTO unused_rooms (room_id, since) VALUES (?1, ?2)")?
                .execute(params![room.id, self.at])?;
        }
        Ok(Some(room))
    }
}

/// Whether anybody is a member of the room.
pub(super) fn has_members(conn: &Connection, room: RoomId) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM members INDEXED BY members_active WHERE room_id = ?1 AND active = 1")?
        .exists([room])
}

/// Deletes a room if it is unused since before a time; otherwise notes that it is in use.
pub(super) struct DeleteUnused {
    pub(super) room: RoomId,
    pub(super) before: i64,
    pub(super) now: i64,
}

impl Write for DeleteUnused {
    type Answer = bool;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<bool> {
        const IS_DUE: &str = "SELECT 1 FROM unused_rooms WHERE room_id = ?1 AND since < ?2";
        let conn = batch.conn;
        let due = params![self.room, self.before];
        if !conn.prepare_cached(IS_DUE)?.exists(due)? {
            return Ok(false);
        }
        if batch.room(self.room)?.is_some_and(|room| room.row.head > 0) {
            conn.prepare_cached("DELETE FROM unused_rooms WHERE room_id = ?1")?
                .execute([self.room])?;
            return Ok(false);
        }
        if has_members(conn, self.room)? {
            conn.prepare_cached("UPDATE unused_rooms SET since = ?2 WHERE room_id = ?1")?
                .execute(params![self.room, self.now])?;
            return Ok(false);
        }
        Delete(self.room).apply(batch)
    }
}

/// Changes or creates a room. Returns the room, and whether it is new.
pub(super) struct Put {
    pub(super) name: String,
    pub(super) change: RoomChange,
    pub(super) at: i64,
}

impl Write for Put {
    type Answer = (RoomRow, bool);

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<(RoomRow, bool)> {
        let (conn, max_entries) = (batch.conn, batch.retention.max_entries);
        let known = find(conn, &self.name)?;
        let created = known.is_none();
        let id = match known {
            Some(room) => room.id,
            None => insert(conn, &self.name, self.at)?,
        };
        let Some(tail) = batch.room(id)? else {
            return Err(rusqlite::Error::QueryReturnedNoRows);
        };
        let RoomChange { kind, history } = self.change;
        tail.row.kind = kind.unwrap_or(tail.row.kind);
        tail.row.history = history.unwrap_or(tail.row.history);
        tail.keep_newest(max_entries);
        conn.prepare_cached("UPDATE rooms SET kind = ?2, history = ?3 WHERE id = ?1")?
            .execute(params![id, tail.row.kind, tail.row.history.map(Seq)])?;
        conn.prepare_cached("DELETE FROM unused_rooms WHERE room_id = ?1")?
            .execute([id])?;
        let room = tail.row.clone();
        if created {
            outbox::created(batch, &room)?;
        }
        Ok((room, created))
    }
}

/// Removes a room and its rows.
pub(super) struct Delete(pub(super) RoomId);

impl Write for Delete {
    type Answer = bool;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<bool> {
        batch.forget_room(self.0);
        let rows = append::removal(self.0);
        for statement in rows.into_iter().chain(append::room_deleted(self.0)) {
            execute(batch.conn, &statement)?;
        }
        batch.erased = true;
        outbox::room_deleted(batch.conn, self.0)?;
        let removed = batch
            .conn
            .prepare_cached("DELETE FROM rooms WHERE id = ?1")?
            .execute([self.0])?;
        Ok(removed == 1)
    }
}

fn insert(conn: &Connection, name: &str, at: i64) -> rusqlite::Result<RoomId> {
    const SQL: &str = "INSERT INTO rooms (name, epoch, created_at, active_position)
        VALUES (?1, ?2, ?3, (SELECT position FROM log_head))";
    conn.prepare_cached(SQL)?
        .execute(params![name, RoomRow::new_epoch(), at])?;
    Ok(conn.last_insert_rowid())
}

/// Gives every room a new epoch. Returns the number of rooms.
pub(super) fn renew_epochs(conn: &Connection) -> rusqlite::Result<u64> {
    let rooms = conn
        .prepare("SELECT id FROM rooms")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<RoomId>>>()?;
    let mut update = conn.prepare("UPDATE rooms SET epoch = ?2 WHERE id = ?1")?;
    for room in &rooms {
        update.execute(params![room, RoomRow::new_epoch()])?;
    }
    Ok(rooms.len() as u64)
}

#[async_trait]
impl Rooms for SqliteStore {
    async fn open_room(&self, name: &str, create: bool, at: i64) -> Result<Option<RoomRow>, StoreError> {
        let name = name.to_owned();
        let wanted = name.clone();
        match self.read(move |conn| find(conn, &wanted)).await? {
            None if create => Ok(Some(self.write(Create { name, at }).await?)),
            found => Ok(found),
        }
    }

    async fn create_room(&self, name: &str, user: &str, at: i64) -> Result<Option<RoomRow>, StoreError> {
        let (name, user) = (name.to_owned(), user.to_owned());
        let room = self.write(CreateFor { name, user, at }).await?;
        if room.is_none() {
            self.metrics.room_over_quota();
        }
        Ok(room)
    }

    async fn find_rooms(&self, names: &[String]) -> Result<Vec<Option<RoomRow>>, StoreError> {
        let names = names.to_vec();
        self.read(move |conn| names.iter().map(|name| find(conn, name)).collect())
            .await
    }

    async fn room(&self, id: RoomId) -> Result<Option<RoomRow>, StoreError> {
        self.read(move |conn| get(conn, id)).await
    }

    async fn put_room(&self, name: &str, change: RoomChange, at: i64) -> Result<(RoomRow, bool), StoreError> {
        let name = name.to_owned();
        self.write(Put { name, change, at }).await
    }

    async fn delete_room(&self, room: RoomId) -> Result<bool, StoreError> {
        // The history goes first, in small commits, so that the last one deletes little.
        let (limits, now) = (Retention::NOTHING, i64::MAX);
        while self.write(retention::Trim { room, limits, now }).await?.more {}
        self.write(Delete(room)).await
    }

    async fn rooms(&self, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
        let after = after.map(str::to_owned);
        self.read(move |conn| all(conn, after.as_deref(), limit)).await
    }
}
