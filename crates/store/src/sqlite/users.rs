//! What is remembered of users.

use rusqlite::{Connection, OptionalExtension, params};

use super::{batch::Batch, writer::Write};
use crate::UserRow;

pub(super) fn get(conn: &Connection, user: &str) -> rusqlite::Result<Option<UserRow>> {
    conn.prepare_cached("SELECT user_id, name, last_seen FROM users WHERE user_id = ?1")?
        .query_row([user], |row| {
            Ok(UserRow {
                user_id: row.get(0)?,
                name: row.get(1)?,
                last_seen: row.get(2)?,
            })
        })
        .optional()
}

pub(super) struct See {
    pub(super) user: String,
    pub(super) name: Option<String>,
    pub(super) at: i64,
}

impl Write for See {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        const SQL: &str = "INSERT INTO users (user_id, name, last_seen) VALUES (?1, ?2, ?3)
            ON CONFLICT (user_id) DO UPDATE SET
                name = coalesce(excluded.name, name), last_seen = max(excluded.last_seen, last_seen)";
        batch
            .conn
            .prepare_cached(SQL)?
            .execute(params![self.user, self.name, self.at])?;
        Ok(())
    }
}
