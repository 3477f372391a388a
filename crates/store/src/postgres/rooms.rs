//! [`Rooms`] for PostgreSQL: finding, creating, changing, deleting and listing rooms.

use async_trait::async_trait;
use std::collections::HashMap;

use tokio_postgres::{Row, types::ToSql};

use super::{
    PostgresStore,
    conn::{Conn, Step},
    failure::Failure,
    outbox::{self, Recorded},
    value::{Columns as _, num, text},
};
use crate::{
    LogPosition, OutboxOptions, RecordKind, RoomChange, RoomId, RoomRow, Rooms, StoreError,
    append::{self, RoomBounds, day_of},
    numbers::Numbered as _,
    outbox::RecordContent,
    rows,
};

/// The columns of a [`RoomRow`], as [`room`] reads them.
pub(super) const ROOM_COLUMNS: &str =
    "r.id, r.name, r.epoch, r.head, r.first, r.created_at, r.kind, r.history";

/// Reads the [`ROOM_COLUMNS`] of a row.
pub(super) fn room(row: &Row) -> Result<RoomRow, Failure> {
    Ok(RoomRow {
        id: row.int(0)?,
        name: row.text(1)?,
        epoch: row.text(2)?,
        head: row.num(3)?,
        first: row.num(4)?,
        created_at: row.int(5)?,
        kind: row.kind(6)?,
        history: row.opt_num(7)?,
    })
}

/// Reads the [`ROOM_COLUMNS`] of a row, followed by the rest of its [`RoomBounds`].
pub(super) fn bounds(row: &Row) -> Result<RoomBounds, Failure> {
    Ok(RoomBounds {
        row: room(row)?,
        swept: row.num(8)?,
        last_message: row.num(9)?,
        active_position: LogPosition(row.num(10)?),
        messages: row.num(11)?,
        deletions: row.num(12)?,
        appended: 0,
        appended_at: i64::MIN,
        changed: false,
    })
}

pub(super) async fn find(conn: &Conn, name: &str) -> Result<Option<RoomRow>, Failure> {
    Ok(find_all(conn, vec![name.to_owned()]).await?.pop().flatten())
}

/// For each name its room.
pub(super) async fn find_all(conn: &Conn, names: Vec<String>) -> Result<Vec<Option<RoomRow>>, Failure> {
    let sql = format!("SELECT {ROOM_COLUMNS} FROM rooms r WHERE r.name = ANY($1)");
    let wanted: Vec<_> = names.iter().map(|name| text(name)).collect();
    let mut found = HashMap::new();
    for row in conn.rows(&sql, &[&wanted]).await? {
        let room = room(&row)?;
        found.insert(room.name.clone(), room);
    }
    Ok(names.iter().map(|name| found.get(name).cloned()).collect())
}

pub(super) async fn get(conn: &Conn, id: RoomId) -> Result<Option<RoomRow>, Failure> {
    let sql = format!("SELECT {ROOM_COLUMNS} FROM rooms r WHERE r.id = $1");
    let row = conn.row(&sql, &[&id]).await?;
    row.as_ref().map(room).transpose()
}

/// For each user their latest joined rooms, up to a limit.
pub(super) async fn of_users(conn: &Conn, users: Vec<(String, u32)>) -> Result<Vec<Vec<RoomRow>>, Failure> {
    let sql = format!(
        "SELECT {ROOM_COLUMNS}, t.at
         FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY t (user_id, most, at)
         CROSS JOIN LATERAL (SELECT m.room_id, m.joined_at FROM members m
            WHERE m.user_id = t.user_id AND m.active = 1
            ORDER BY m.joined_at DESC, m.room_id DESC LIMIT t.most) m
         JOIN rooms r ON r.id = m.room_id ORDER BY t.at, m.joined_at DESC, m.room_id DESC"
    );
    let (ids, most): (Vec<_>, Vec<_>) = users
        .iter()
        .map(|(user, most)| (text(user), i64::from(*most)))
        .unzip();
    let mut rooms = vec![Vec::new(); users.len()];
    for row in conn.rows(&sql, &[&ids, &most]).await? {
        if let Some(theirs) = rooms.get_mut(row.ordinal(8)?) {
            theirs.push(room(&row)?);
        }
    }
    Ok(rooms)
}

/// Rooms by name.
pub(super) async fn all(conn: &Conn, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, Failure> {
    // No name is empty, so every name follows the empty one.
    let sql = format!("SELECT {ROOM_COLUMNS} FROM rooms r WHERE r.name > $1 ORDER BY r.name LIMIT $2");
    let rows = conn
        .rows(&sql, &[&text(after.unwrap_or_default()), &i64::from(limit)])
        .await?;
    rows.iter().map(room).collect()
}

/// Locks the room against appends and changes until the transaction ends.
pub(super) async fn lock(conn: &Conn, id: RoomId) -> Result<Option<RoomBounds>, Failure> {
    let sql = format!(
        "SELECT {ROOM_COLUMNS}, r.swept, r.last_message, r.active_position, r.messages, r.deletions
         FROM rooms r WHERE r.id = $1 FOR NO KEY UPDATE"
    );
    let row = conn.row(&sql, &[&id]).await?;
    row.as_ref().map(bounds).transpose()
}

/// The room, which is not removed until the transaction ends. Does not wait for appends, and they do not
/// wait.
pub(super) async fn keep(conn: &Conn, id: RoomId) -> Result<Option<RoomRow>, Failure> {
    let sql = format!("SELECT {ROOM_COLUMNS} FROM rooms r WHERE r.id = $1 FOR KEY SHARE");
    conn.row(&sql, &[&id]).await?.as_ref().map(room).transpose()
}

/// Writes back the bounds of a locked room.
pub(super) async fn write_back(conn: &Conn, bounds: &RoomBounds) -> Result<(), Failure> {
    const SQL: &str = "UPDATE rooms
        SET head = $2, first = $3, swept = $4, last_message = $5, active_position = $6, messages = $7,
            deletions = $8
        WHERE id = $1";
    if bounds.changed {
        let (head, first, swept) = (num(bounds.row.head), num(bounds.row.first), num(bounds.swept));
        conn.run(
            SQL,
            &[
                &bounds.row.id,
                &head,
                &first,
                &swept,
                &num(bounds.last_message),
                &num(bounds.active_position.0),
                &num(bounds.messages),
                &num(bounds.deletions),
            ],
        )
        .await?;
    }
    Ok(())
}

/// Creates a room unless the name exists. Also returns whether a record was written.
pub(super) async fn create(
    conn: &Conn,
    name: &str,
    at: i64,
    options: &OutboxOptions,
) -> Result<(RoomRow, bool), Failure> {
    loop {
        conn.begin().await?;
        if let Some(room) = insert(conn, name, at).await? {
            let recorded = created(conn, &room, options).await?;
            conn.commit().await?;
            return Ok((room, recorded));
        }
        conn.commit().await?;
        // Another call created the room. If it is removed again already, try once more.
        if let Some(room) = find(conn, name).await? {
            return Ok((room, false));
        }
    }
}

/// Adds to what users (`$1`) have used of the daily quotas on day `$2`: each `$3` rooms, and bytes (`$4`).
pub(super) const COUNT_USAGE: &str = "INSERT INTO user_usage AS u (user_id, day, rooms, bytes)
    SELECT t.user_id, $2::bigint, $3::bigint, t.bytes FROM unnest($1::text[], $4::bigint[]) t (user_id, bytes)
    ON CONFLICT (user_id) DO UPDATE SET day = excluded.day,
        rooms = excluded.rooms + CASE WHEN u.day = excluded.day THEN u.rooms ELSE 0 END,
        bytes = excluded.bytes + CASE WHEN u.day = excluded.day THEN u.bytes ELSE 0 END";

/// Creates a room for a user unless the name exists. Also returns whether a record was written. `None` if
/// the user has created `quota` rooms today; 0 is no quota.
pub(super) async fn create_for(
    conn: &Conn,
    name: &str,
    (user, quota): (&str, u64),
    at: i64,
    options: &OutboxOptions,
) -> Result<Option<(RoomRow, bool)>, Failure> {
    const CREATED: &str = "SELECT rooms FROM user_usage WHERE user_id = $1 AND day = $2";
    const MARK: &str = "INSERT INTO unused_rooms (room_id, since) VALUES ($1, $2)";
    let (user, day) = (text(user), day_of(at));
    loop {
        if let Some(room) = find(conn, name).await? {
            return Ok(Some((room, false)));
        }
        conn.begin().await?;
        // The count goes first: its lock orders the user's calls.
        let params: [&(dyn ToSql + Sync); 4] = [&vec![&*user], &day, &1_i64, &vec![0_i64]];
        conn.run(COUNT_USAGE, &params).await?;
        let created = conn.row(CREATED, &[&user, &day]).await?;
        let created = created.map_or(Ok(0), |row| row.num(0))?;
        if quota > 0 && created > quota {
            conn.roll_back().await?;
            return Ok(None);
        }
        if let Some(room) = insert(conn, name, at).await? {
            conn.run(MARK, &[&room.id, &at]).await?;
            let recorded = self::created(conn, &room, options).await?;
            conn.commit().await?;
            return Ok(Some((room, recorded)));
        }
        // Another call created the room.
        conn.roll_back().await?;
    }
}

/// Deletes a room if it is unused since before a time; otherwise notes that it is in use. Returns whether
/// it was deleted.
pub(super) async fn delete_unused(conn: &Conn, id: RoomId, before: i64, now: i64) -> Result<bool, Failure> {
    const STATE: &str =
        "SELECT r.head, EXISTS (SELECT 1 FROM members m WHERE m.room_id = r.id AND m.active = 1)
        FROM rooms r JOIN unused_rooms u ON u.room_id = r.id WHERE r.id = $1 AND u.since < $2";
    conn.begin().await?;
    // Appends and joins wait for the lock.
    lock_to_remove(conn, id).await?;
    let Some(state) = conn.row(STATE, &[&id, &before]).await? else {
        conn.roll_back().await?;
        return Ok(false);
    };
    let (head, has_members) = (state.num(0)?, state.flag(1)?);
    if head > 0 {
        conn.run("DELETE FROM unused_rooms WHERE room_id = $1", &[&id])
            .await?;
    } else if has_members {
        conn.run(
            "UPDATE unused_rooms SET since = $2 WHERE room_id = $1",
            &[&id, &now],
        )
        .await?;
    } else {
        for step in removal(id) {
            conn.step(&step).await?;
        }
    }
    conn.commit().await?;
    Ok(head == 0 && !has_members)
}

/// Outcome of [`put`].
pub(super) struct Put {
    pub(super) room: RoomRow,
    pub(super) created: bool,
    pub(super) recorded: bool,
}

/// Changes a room, or creates it in this state.
pub(super) async fn put(
    conn: &Conn,
    name: &str,
    change: RoomChange,
    at: i64,
    max_entries: u64,
    options: &OutboxOptions,
) -> Result<Put, Failure> {
    loop {
        conn.begin().await?;
        let made = insert(conn, name, at).await?;
        let created = made.is_some();
        let found = match made {
            Some(room) => Some(room),
            None => find(conn, name).await?,
        };
        let bounds = match &found {
            Some(room) => lock(conn, room.id).await?,
            None => None,
        };
        let Some(mut bounds) = bounds else {
            conn.roll_back().await?;
            continue;
        };
        let RoomChange { kind, history } = change;
        bounds.row.kind = kind.unwrap_or(bounds.row.kind);
        bounds.row.history = history.unwrap_or(bounds.row.history);
        bounds.keep_newest(max_entries);
        let sql = "UPDATE rooms SET kind = $2, history = $3 WHERE id = $1";
        conn.run(
            sql,
            &[
                &bounds.row.id,
                &bounds.row.kind.number(),
                &bounds.row.history.map(num),
            ],
        )
        .await?;
        write_back(conn, &bounds).await?;
        conn.run("DELETE FROM unused_rooms WHERE room_id = $1", &[&bounds.row.id])
            .await?;
        let room = bounds.row;
        let recorded = created && self::created(conn, &room, options).await?;
        conn.commit().await?;
        return Ok(Put {
            room,
            created,
            recorded,
        });
    }
}

/// Removes a room and its rows.
pub(super) async fn delete(conn: &Conn, id: RoomId) -> Result<bool, Failure> {
    conn.begin().await?;
    if !lock_to_remove(conn, id).await? {
        conn.roll_back().await?;
        return Ok(false);
    }
    for step in removal(id) {
        conn.step(&step).await?;
    }
    conn.commit().await?;
    Ok(true)
}

/// Locks the room for its removal, so that appends and joins wait and then find no room. False if there is
/// none.
pub(super) async fn lock_to_remove(conn: &Conn, id: RoomId) -> Result<bool, Failure> {
    let sql = "SELECT 1 FROM rooms WHERE id = $1 FOR UPDATE";
    Ok(conn.row(sql, &[&id]).await?.is_some())
}

/// The steps that delete a locked room, with everything that belongs to it.
pub(super) fn removal(id: RoomId) -> impl Iterator<Item = Step> {
    let rest = [
        outbox::ROOM_DELETED,
        "DELETE FROM delivery_checks WHERE room_id = $1",
        "DELETE FROM rooms WHERE id = $1",
    ];
    let rest = rest.map(|sql| Step::new(sql, vec![Box::new(id)]));
    append::removal(id)
        .into_iter()
        .chain(append::room_deleted(id))
        .map(Step::from)
        .chain(rest)
}

/// `None` if the name exists.
async fn insert(conn: &Conn, name: &str, at: i64) -> Result<Option<RoomRow>, Failure> {
    let sql = format!(
        "INSERT INTO rooms AS r (name, epoch, created_at, active_position)
         VALUES ($1, $2, $3, (SELECT position FROM log_head))
         ON CONFLICT (name) DO NOTHING RETURNING {ROOM_COLUMNS}"
    );
    let row = conn.row(&sql, &[&text(name), &RoomRow::new_epoch(), &at]).await?;
    row.as_ref().map(room).transpose()
}

async fn created(conn: &Conn, room: &RoomRow, options: &OutboxOptions) -> Result<bool, Failure> {
    if rows::is_internal(&room.name) {
        return Ok(false);
    }
    let mut recorded = Recorded::default();
    recorded.add(
        options,
        RecordKind::RoomCreated,
        room.created_at,
        &RecordContent::of_room(room),
    );
    outbox::write(conn, recorded).await
}

#[async_trait]
impl Rooms for PostgresStore {
    async fn open_room(&self, name: &str, create: bool, at: i64) -> Result<Option<RoomRow>, StoreError> {
        let found = self.counted(self.batched_calls.rooms_by_name.ask(name.to_owned()).await)?;
        if found.is_some() || !create {
            return Ok(found);
        }
        let conn = self.conn().await?;
        let made = self::create(&conn, name, at, &self.shared.options.outbox).await;
        let (room, recorded) = self.checked(made)?;
        if recorded {
            self.recorded.send_replace(());
        }
        Ok(Some(room))
    }

    async fn create_room(&self, name: &str, user: &str, at: i64) -> Result<Option<RoomRow>, StoreError> {
        let (conn, options) = (self.conn().await?, &self.shared.options);
        let by = (user, options.quotas.daily_rooms);
        let Some((room, recorded)) = self.checked(create_for(&conn, name, by, at, &options.outbox).await)?
        else {
            self.shared.metrics.room_over_quota();
            return Ok(None);
        };
        if recorded {
            self.recorded.send_replace(());
        }
        Ok(Some(room))
    }

    async fn find_rooms(&self, names: &[String]) -> Result<Vec<Option<RoomRow>>, StoreError> {
        self.checked(find_all(&self.conn().await?, names.to_vec()).await)
    }

    async fn room(&self, id: RoomId) -> Result<Option<RoomRow>, StoreError> {
        self.checked(get(&self.conn().await?, id).await)
    }

    async fn put_room(&self, name: &str, change: RoomChange, at: i64) -> Result<(RoomRow, bool), StoreError> {
        let (conn, options) = (self.conn().await?, &self.shared.options);
        let most = options.retention.max_entries;
        let put = self.checked(put(&conn, name, change, at, most, &options.outbox).await)?;
        if put.recorded {
            self.recorded.send_replace(());
        }
        Ok((put.room, put.created))
    }

    async fn delete_room(&self, room: RoomId) -> Result<bool, StoreError> {
        self.empty_room(room).await?;
        self.checked(delete(&self.conn().await?, room).await)
    }

    async fn rooms(&self, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
        self.checked(all(&self.conn().await?, after, limit).await)
    }
}
