//! Known users: name, last seen, chosen status.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteStore, batch::Batch, personal_data::erased_before, revocations, write::Write};
use crate::{ChosenStatus, StoreError, UserRow, Users};

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
        // A node may still note that it saw a user who is erased by now.
        if erased_before(batch.conn, &self.user)?.is_some_and(|before| self.at < before) {
            return Ok(());
        }
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

#[async_trait]
impl Users for SqliteStore {
    async fn see_user(&self, user: &str, name: Option<&str>, last_seen: i64) -> Result<(), StoreError> {
        self.write(See {
            user: user.to_owned(),
            name: name.map(str::to_owned),
            at: last_seen,
        })
        .await
    }

    async fn set_status(
        &self,
        user: &str,
        status: ChosenStatus,
        text: Option<&str>,
        at: i64,
    ) -> Result<(), StoreError> {
        self.write(SetStatus {
            user: user.to_owned(),
            status,
            text: text.map(str::to_owned),
            at,
        })
        .await
    }

    async fn users(&self, ids: &[String]) -> Result<Vec<UserRow>, StoreError> {
        let ids = ids.to_vec();
        self.read(move |conn| ids.iter().filter_map(|id| get(conn, id).transpose()).collect())
            .await
    }

    async fn revoke(&self, user: &str, before: i64) -> Result<(), StoreError> {
        let user = user.to_owned();
        self.write(revocations::Revoke { user, before }).await
    }

    async fn revoked(&self, user: &str) -> Result<Option<i64>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| revocations::get(conn, &user)).await
    }

    async fn forget_revocations(&self, cutoff: i64) -> Result<u64, StoreError> {
        self.write(revocations::Forget { cutoff }).await
    }
}
