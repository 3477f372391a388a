//! Finding, creating and listing rooms.

use rand::RngExt as _;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    batch::{Batch, ROOM_COLUMNS, room_row},
    writer::Write,
};
use crate::{RoomId, RoomRow};

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

/// Creates a room unless there is one of this name.
pub(super) struct Create {
    pub(super) name: String,
    pub(super) at: i64,
}

impl Write for Create {
    type Answer = RoomRow;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<RoomRow> {
        let conn = batch.conn;
        if let Some(room) = find(conn, &self.name)? {
            // The head this batch has come to, not the one it started from.
            return Ok(batch.room(room.id)?.map_or(room, |tail| tail.row.clone()));
        }
        conn.prepare_cached("INSERT INTO rooms (name, epoch, created_at) VALUES (?1, ?2, ?3)")?
            .execute(params![self.name, new_epoch(), self.at])?;
        let id = conn.last_insert_rowid();
        get(conn, id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
    }
}

/// 96 random bits as 16 URL-safe characters.
fn new_epoch() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut rng = rand::rng();
    (0..16)
        .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
        .collect()
}
