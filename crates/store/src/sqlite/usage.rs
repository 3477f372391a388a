//! What users have used of their daily quotas.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{batch::Batch, column::Seq, write::Write};
use crate::append::FORGET_USAGE;

/// What a user has used on one day.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Rooms that the user created.
    pub(super) rooms: u64,
    /// Bytes that were reserved for the user's entries.
    pub(super) bytes: u64,
}

/// What a user has used on a day.
pub(super) fn of(conn: &Connection, user: &str, day: i64) -> rusqlite::Result<Usage> {
    let usage = conn
        .prepare_cached("SELECT rooms, bytes FROM user_usage WHERE user_id = ?1 AND day = ?2")?
        .query_row(params![user, day], |row| {
            Ok(Usage {
                rooms: row.get::<_, Seq>(0)?.0,
                bytes: row.get::<_, Seq>(1)?.0,
            })
        })
        .optional()?;
    Ok(usage.unwrap_or_default())
}

/// Adds to what a user has used on a day.
pub(super) fn count(conn: &Connection, user: &str, day: i64, rooms: u64, bytes: u64) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO user_usage AS u (user_id, day, rooms, bytes) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (user_id) DO UPDATE SET day = excluded.day,
            rooms = excluded.rooms + CASE WHEN u.day = excluded.day THEN u.rooms ELSE 0 END,
            bytes = excluded.bytes + CASE WHEN u.day = excluded.day THEN u.bytes ELSE 0 END";
    let mut upsert = conn.prepare_cached(SQL)?;
    upsert.execute(params![user, day, Seq(rooms), Seq(bytes)])?;
    Ok(())
}

/// Whether there are counts from before a day.
pub(super) fn has_old(conn: &Connection, day: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM user_usage WHERE day < ?1 LIMIT 1")?
        .exists([day])
}

/// Deletes counts from before a day, one commit's worth.
pub(super) struct Forget {
    pub(super) day: i64,
}

impl Write for Forget {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        batch.conn.prepare_cached(FORGET_USAGE)?.execute([self.day])?;
        Ok(())
    }
}
