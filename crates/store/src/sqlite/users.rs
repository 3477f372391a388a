//! Known users: name, last seen, chosen status.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteStore, batch::Batch, personal_data::erased_before, revocations, write::Write};
use crate::{ChosenStatus, ProfileChange, StoreError, UserRow, Users};

pub(super) fn get(conn: &Connection, user: &str) -> rusqlite::Result<Option<UserRow>> {
    const SQL: &str = "SELECT user_id, name, last_seen, status, status_text, avatar, metadata, profile_set_at
        FROM users WHERE user_id = ?1";
    conn.prepare_cached(SQL)?
        .query_row([user], |row| {
            Ok(UserRow {
                user_id: row.get(0)?,
                name: row.get(1)?,
                last_seen: row.get(2)?,
                status: row.get(3)?,
                status_text: row.get(4)?,
                avatar: row.get(5)?,
                metadata: row.get(6)?,
                profile_set_at: row.get(7)?,
            })
        })
        .optional()
}

pub(super) struct TouchUser {
    pub(super) user: String,
    pub(super) name: Option<String>,
    pub(super) at: i64,
}

impl Write for TouchUser {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        const SQL: &str = "INSERT INTO users (user_id, name, last_seen) VALUES (?1, ?2, ?3)
            ON CONFLICT (user_id) DO UPDATE SET
                name = coalesce(excluded.name, name), last_seen = max(excluded.last_seen, last_seen)";
        // A node may still note that it saw a user after their erasure.
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

pub(super) struct PutProfile {
    pub(super) user: String,
    pub(super) change: ProfileChange,
    pub(super) at: i64,
}

impl Write for PutProfile {
    type Answer = Option<UserRow>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Self::Answer> {
        const SQL: &str = "INSERT INTO users (user_id, name, avatar, metadata, profile_set_at, last_seen)
            VALUES (?1, ?3, ?5, ?7, ?8, 0)
            ON CONFLICT (user_id) DO UPDATE SET
                name = CASE WHEN ?2 THEN ?3 ELSE name END,
                avatar = CASE WHEN ?4 THEN ?5 ELSE avatar END,
                metadata = CASE WHEN ?6 THEN ?7 ELSE metadata END,
                profile_set_at = max(excluded.profile_set_at, profile_set_at)";
        let ProfileChange {
            name,
            avatar,
            metadata,
        } = &self.change;
        batch.conn.prepare_cached(SQL)?.execute(params![
            self.user,
            name.is_some(),
            name.as_ref().and_then(Option::as_ref),
            avatar.is_some(),
            avatar.as_ref().and_then(Option::as_ref),
            metadata.is_some(),
            metadata.as_ref().and_then(Option::as_ref),
            self.at
        ])?;
        get(batch.conn, &self.user)
    }
}

pub(super) struct TakeProfile {
    pub(super) user: String,
    pub(super) name: Option<String>,
    pub(super) avatar: Option<String>,
    pub(super) issued_at: i64,
}

impl Write for TakeProfile {
    type Answer = Option<UserRow>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Self::Answer> {
        const SQL: &str = "INSERT INTO users (user_id, name, avatar, last_seen) VALUES (?1, ?2, ?3, 0)
            ON CONFLICT (user_id) DO UPDATE SET
                name = coalesce(excluded.name, name), avatar = coalesce(excluded.avatar, avatar)
            WHERE profile_set_at <= ?4";
        if erased_before(batch.conn, &self.user)?.is_none_or(|before| self.issued_at >= before) {
            batch.conn.prepare_cached(SQL)?.execute(params![
                self.user,
                self.name,
                self.avatar,
                self.issued_at
            ])?;
        }
        get(batch.conn, &self.user)
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
        // A connection may still handle this event while its user is erased.
        if erased_before(batch.conn, &self.user)?.is_some_and(|before| self.at < before) {
            return Ok(());
        }
        batch
            .conn
            .prepare_cached(SQL)?
            .execute(params![self.user, self.at, self.status, self.text])?;
        Ok(())
    }
}

/// The row that a write has just made, unless its user was erased meanwhile.
fn written(row: Option<UserRow>) -> Result<UserRow, StoreError> {
    row.ok_or_else(|| StoreError::Internal("the user was erased just now".into()))
}

#[async_trait]
impl Users for SqliteStore {
    async fn touch_user(&self, user: &str, name: Option<&str>, last_seen: i64) -> Result<(), StoreError> {
        self.write(TouchUser {
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

    async fn put_profile(&self, user: &str, change: &ProfileChange, at: i64) -> Result<UserRow, StoreError> {
        let (user, change) = (user.to_owned(), change.clone());
        written(self.write(PutProfile { user, change, at }).await?)
    }

    async fn take_profile(
        &self,
        user: &str,
        name: Option<&str>,
        avatar: Option<&str>,
        issued_at: i64,
    ) -> Result<UserRow, StoreError> {
        let took = TakeProfile {
            user: user.to_owned(),
            name: name.map(str::to_owned),
            avatar: avatar.map(str::to_owned),
            issued_at,
        };
        written(self.write(took).await?)
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
