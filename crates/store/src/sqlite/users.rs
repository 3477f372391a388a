//! Known users: name, last seen, chosen status.

use rusqlite::{Connection, OptionalExtension, params};

use super::{batch::Batch, writer::Write};
use crate::{ChosenStatus, UserRow};

pub(super) fn get(conn: &Connection, user: &str) -> rusqlite::Result<Option<UserRow>> {
    const SQL: &str = "SELECT user_id, name, last_seen, status, status_text FROM users WHERE user_id = ?1";
    conn.prepare_cached(SQL)?
        .query_row([user], |row| {
            Ok(UserRow {
                user_id: row.get(0)?,
                name: row.get(1)?,
                last_seen: row.get(2)?,
                status: row.get(3)?,
                status_text: row.get(4)?,
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

pub(super) struct SetStatus {
    pub(super) user: String,
    pub(super) status: ChosenStatus,
    pub(super) text: Option<String>,
    pub(super) at: i64,
}

impl Write for SetStatus {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        const SQL: &str =
            "INSERT INTO users (user_id, last_seen, status, status_text) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (user_id) DO UPDATE SET status = excluded.status, status_text = excluded.status_text,
                last_seen = max(excluded.last_seen, last_seen)";
        batch
            .conn
            .prepare_cached(SQL)?
            .execute(params![self.user, self.at, self.status, self.text])?;
        Ok(())
    }
}
