//! Finding, creating, changing, removing and listing rooms.

use tokio_postgres::Row;

use super::{
    append::SWEEPS,
    conn::{Conn, Step},
    failure::Failure,
    outbox::{self, Facts, Recorded},
    value::{Columns as _, num, text},
};
use crate::{
    OutboxOptions, RecordKind, RoomChange, RoomId, RoomRow, numbers::Numbered as _, rows, tail::Tail,
};

/// The columns of a [`RoomRow`], as [`room`] reads them.
pub(super) const ROOM_COLUMNS: &str =
    "r.id, r.name, r.epoch, r.head, r.first, r.created_at, r.kind, r.history";

/// The [`ROOM_COLUMNS`] of a row.
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

/// The [`ROOM_COLUMNS`] of a row, followed by what else a [`Tail`] has.
pub(super) fn tail(row: &Row) -> Result<Tail, Failure> {
    Ok(Tail {
        row: room(row)?,
        swept: row.num(8)?,
        last_message: row.num(9)?,
        active_at: row.int(10)?,
        appended: 0,
        changed: false,
    })
}

pub(super) async fn find(conn: &Conn, name: &str) -> Result<Option<RoomRow>, Failure> {
    let sql = format!("SELECT {ROOM_COLUMNS} FROM rooms r WHERE r.name = $1");
    let row = conn.row(&sql, &[&text(name)]).await?;
    row.as_ref().map(room).transpose()
}

pub(super) async fn get(conn: &Conn, id: RoomId) -> Result<Option<RoomRow>, Failure> {
    let sql = format!("SELECT {ROOM_COLUMNS} FROM rooms r WHERE r.id = $1");
    let row = conn.row(&sql, &[&id]).await?;
    row.as_ref().map(room).transpose()
}

pub(super) async fn of_user(conn: &Conn, user: &str, limit: u32) -> Result<Vec<RoomRow>, Failure> {
    let sql = format!(
        "SELECT {ROOM_COLUMNS} FROM members m JOIN rooms r ON r.id = m.room_id
         WHERE m.user_id = $1 AND m.active = 1 ORDER BY m.joined_at DESC, m.room_id DESC LIMIT $2"
    );
    let rows = conn.rows(&sql, &[&text(user), &i64::from(limit)]).await?;
    rows.iter().map(room).collect()
}

/// In the order of their names.
pub(super) async fn all(conn: &Conn, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, Failure> {
    // No name is empty, so all come after that.
    let sql = format!("SELECT {ROOM_COLUMNS} FROM rooms r WHERE r.name > $1 ORDER BY r.name LIMIT $2");
    let rows = conn
        .rows(&sql, &[&text(after.unwrap_or_default()), &i64::from(limit)])
        .await?;
    rows.iter().map(room).collect()
}

/// The room, which nobody else appends to or changes until the transaction ends.
pub(super) async fn lock(conn: &Conn, id: RoomId) -> Result<Option<Tail>, Failure> {
    let sql = format!(
        "SELECT {ROOM_COLUMNS}, r.swept, r.last_message, r.active_at FROM rooms r WHERE r.id = $1 FOR NO KEY UPDATE"
    );
    let row = conn.row(&sql, &[&id]).await?;
    row.as_ref().map(tail).transpose()
}

/// Writes back the ends of a locked room.
pub(super) async fn write_back(conn: &Conn, tail: &Tail) -> Result<(), Failure> {
    const SQL: &str = "UPDATE rooms SET head = $2, first = $3, swept = $4, last_message = $5, active_at = $6
        WHERE id = $1";
    if tail.changed {
        let (head, first, swept) = (num(tail.row.head), num(tail.row.first), num(tail.swept));
        conn.run(
            SQL,
            &[
                &tail.row.id,
                &head,
                &first,
                &swept,
                &num(tail.last_message),
                &tail.active_at,
            ],
        )
        .await?;
    }
    Ok(())
}

/// Creates a room unless there is one of this name. Also answers whether a record of it was written.
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
        // Somebody else was quicker; and if they removed it meanwhile, it is to be made after all.
        if let Some(room) = find(conn, name).await? {
            return Ok((room, false));
        }
    }
}

/// What [`put`] came to.
pub(super) struct Put {
    pub(super) room: RoomRow,
    pub(super) created: bool,
    pub(super) recorded: bool,
}

/// Changes a room, or creates it so.
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
        let known = match made {
            Some(room) => Some(room),
            None => find(conn, name).await?,
        };
        let tail = match &known {
            Some(room) => lock(conn, room.id).await?,
            None => None,
        };
        let Some(mut tail) = tail else {
            conn.roll_back().await?;
            continue;
        };
        let RoomChange { kind, history } = change;
        tail.row.kind = kind.unwrap_or(tail.row.kind);
        tail.row.history = history.unwrap_or(tail.row.history);
        tail.keep_newest(max_entries);
        let sql = "UPDATE rooms SET kind = $2, history = $3 WHERE id = $1";
        conn.run(
            sql,
            &[&tail.row.id, &tail.row.kind.number(), &tail.row.history.map(num)],
        )
        .await?;
        write_back(conn, &tail).await?;
        let room = tail.row;
        let recorded = created && self::created(conn, &room, options).await?;
        conn.commit().await?;
        return Ok(Put {
            room,
            created,
            recorded,
        });
    }
}

/// Removes a room with all that belongs to it.
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

/// Whether there is the room. By the strongest lock: whoever appends or joins waits, and then finds no room.
pub(super) async fn lock_to_remove(conn: &Conn, id: RoomId) -> Result<bool, Failure> {
    let sql = "SELECT 1 FROM rooms WHERE id = $1 FOR UPDATE";
    Ok(conn.row(sql, &[&id]).await?.is_some())
}

/// What removes a room that is locked, with all that belongs to it.
pub(super) fn removal(id: RoomId) -> impl Iterator<Item = Step> {
    let entries = move |sql| Step::new(sql, vec![Box::new(id), Box::new(0i64), Box::new(i64::MAX)]);
    let rest = [
        "DELETE FROM unconfirmed WHERE room_id = $1",
        "DELETE FROM rooms WHERE id = $1",
    ];
    let rest = rest.map(|sql| Step::new(sql, vec![Box::new(id)]));
    SWEEPS.into_iter().map(entries).chain(rest)
}

/// `None` if there is one of this name.
async fn insert(conn: &Conn, name: &str, at: i64) -> Result<Option<RoomRow>, Failure> {
    let sql = format!(
        "INSERT INTO rooms AS r (name, epoch, created_at, active_at) VALUES ($1, $2, $3, $3)
         ON CONFLICT (name) DO NOTHING RETURNING {ROOM_COLUMNS}"
    );
    let row = conn.row(&sql, &[&text(name), &RoomRow::new_epoch(), &at]).await?;
    row.as_ref().map(room).transpose()
}

async fn created(conn: &Conn, room: &RoomRow, options: &OutboxOptions) -> Result<bool, Failure> {
    if rows::is_own(&room.name) {
        return Ok(false);
    }
    let mut recorded = Recorded::default();
    recorded.add(
        options,
        RecordKind::RoomCreated,
        room.created_at,
        &Facts::of_room(room),
    );
    outbox::write(conn, recorded).await
}
