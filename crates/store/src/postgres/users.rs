//! Known users: name, last seen, chosen status.

use std::{borrow::Cow, collections::HashMap};

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    conn::Conn,
    failure::Failure,
    revocations,
    value::{Columns as _, opt_text, text},
};
use crate::{
    ChosenStatus, ProfileChange, StoreError, UserRow, Users, numbers::Numbered as _, personal_data::hash,
};

/// For each list of ids the known users, in its order.
pub(super) async fn get_all(conn: &Conn, asks: Vec<Vec<String>>) -> Result<Vec<Vec<UserRow>>, Failure> {
    const SQL: &str = "SELECT user_id, name, last_seen, status, status_text, avatar, metadata, profile_set_at
        FROM users WHERE user_id = ANY($1)";
    let wanted: Vec<_> = asks.iter().flatten().map(|id| text(id)).collect();
    let mut found = HashMap::new();
    for row in conn.rows(SQL, &[&wanted]).await? {
        let user = read(&row)?;
        found.insert(user.user_id.clone(), user);
    }
    let known = |ids: Vec<String>| ids.iter().filter_map(|id| found.get(id).cloned()).collect();
    Ok(asks.into_iter().map(known).collect())
}

fn read(row: &Row) -> Result<UserRow, Failure> {
    Ok(UserRow {
        user_id: row.text(0)?,
        name: row.opt_text(1)?,
        last_seen: row.int(2)?,
        status: row.kind(3)?,
        status_text: row.opt_text(4)?,
        avatar: row.opt_text(5)?,
        metadata: row.opt_text(6)?,
        profile_set_at: row.int(7)?,
    })
}

/// Changes a profile for the app's backend.
async fn put_profile(conn: &Conn, user: &str, change: &ProfileChange, at: i64) -> Result<UserRow, Failure> {
    const SQL: &str = "INSERT INTO users AS u (user_id, name, avatar, metadata, profile_set_at, last_seen)
        VALUES ($1, $3, $5, $7, $8, 0)
        ON CONFLICT (user_id) DO UPDATE SET
            name = CASE WHEN $2 THEN $3 ELSE u.name END,
            avatar = CASE WHEN $4 THEN $5 ELSE u.avatar END,
            metadata = CASE WHEN $6 THEN $7 ELSE u.metadata END,
            profile_set_at = greatest(excluded.profile_set_at, u.profile_set_at)";
    let ProfileChange {
        name,
        avatar,
        metadata,
    } = change;
    conn.run(
        SQL,
        &[
            &text(user),
            &name.is_some(),
            &new_value(name.as_ref()),
            &avatar.is_some(),
            &new_value(avatar.as_ref()),
            &metadata.is_some(),
            &new_value(metadata.as_ref()),
            &at,
        ],
    )
    .await?;
    stored(conn, user).await
}

/// The value that a changed field gets.
fn new_value(field: Option<&Option<String>>) -> Option<Cow<'_, str>> {
    opt_text(field.and_then(Option::as_deref))
}

/// Stores the name and picture of a token.
async fn take_profile(
    conn: &Conn,
    user: &str,
    name: Option<&str>,
    avatar: Option<&str>,
    issued_at: i64,
) -> Result<UserRow, Failure> {
    const SQL: &str = "INSERT INTO users AS u (user_id, name, avatar, last_seen)
        SELECT CAST($1 AS text), CAST($2 AS text), CAST($3 AS text), 0
        WHERE NOT EXISTS (SELECT 1 FROM erased_users e WHERE e.hash = $5 AND e.before > $4)
        ON CONFLICT (user_id) DO UPDATE SET
            name = coalesce(excluded.name, u.name), avatar = coalesce(excluded.avatar, u.avatar)
        WHERE u.profile_set_at <= $4";
    let (id, name, avatar) = (text(user), opt_text(name), opt_text(avatar));
    conn.run(SQL, &[&id, &name, &avatar, &issued_at, &hash(user)])
        .await?;
    stored(conn, user).await
}

/// The row that a write has just made, unless its user was erased meanwhile.
async fn stored(conn: &Conn, user: &str) -> Result<UserRow, Failure> {
    let rows = get_all(conn, vec![vec![user.to_owned()]]).await?;
    let row = rows.into_iter().flatten().next();
    row.ok_or_else(|| StoreError::Internal("the user was erased just now".into()).into())
}

/// A user seen at a time, with a name if known.
#[derive(Clone)]
pub(super) struct Sighting {
    pub(super) user: String,
    pub(super) name: Option<String>,
    pub(super) at: i64,
}

/// Stores sightings: the latest time, and the last name in their order.
pub(super) async fn touch_users(conn: &Conn, sightings: Vec<Sighting>) -> Result<Vec<()>, Failure> {
    // Each row once and sorted, which prevents deadlocks between nodes.
    const SQL: &str = "INSERT INTO users AS u (user_id, name, last_seen)
        SELECT user_id, (array_agg(name ORDER BY place DESC) FILTER (WHERE name IS NOT NULL))[1], max(at)
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[])
            WITH ORDINALITY t (user_id, name, at, hash, place)
        WHERE NOT EXISTS (SELECT 1 FROM erased_users e WHERE e.hash = t.hash AND e.before > t.at)
        GROUP BY user_id ORDER BY user_id
        ON CONFLICT (user_id) DO UPDATE SET
            name = coalesce(excluded.name, u.name), last_seen = greatest(excluded.last_seen, u.last_seen)";
    let users: Vec<_> = sightings.iter().map(|seen| text(&seen.user)).collect();
    let names: Vec<_> = sightings
        .iter()
        .map(|seen| opt_text(seen.name.as_deref()))
        .collect();
    let times: Vec<_> = sightings.iter().map(|seen| seen.at).collect();
    // A node may still note that it saw a user after their erasure.
    let hashes: Vec<_> = sightings.iter().map(|seen| hash(&seen.user)).collect();
    conn.run(SQL, &[&users, &names, &times, &hashes]).await?;
    Ok(vec![(); sightings.len()])
}

pub(super) async fn set_status(
    conn: &Conn,
    user: &str,
    status: ChosenStatus,
    said: Option<&str>,
    at: i64,
) -> Result<(), Failure> {
    // A connection may still handle this event while its user is erased.
    const SQL: &str = "INSERT INTO users AS u (user_id, last_seen, status, status_text)
        SELECT CAST($1 AS text), CAST($2 AS bigint), CAST($3 AS bigint), CAST($4 AS text)
        WHERE NOT EXISTS (SELECT 1 FROM erased_users e WHERE e.hash = $5 AND e.before > $2)
        ON CONFLICT (user_id) DO UPDATE SET status = excluded.status, status_text = excluded.status_text,
            last_seen = greatest(excluded.last_seen, u.last_seen)";
    let (id, said) = (text(user), opt_text(said));
    conn.run(SQL, &[&id, &at, &status.number(), &said, &hash(user)])
        .await
        .map(drop)
}

#[async_trait]
impl Users for PostgresStore {
    async fn touch_user(&self, user: &str, name: Option<&str>, last_seen: i64) -> Result<(), StoreError> {
        let sighting = Sighting {
            user: user.to_owned(),
            name: name.map(str::to_owned),
            at: last_seen,
        };
        self.counted(self.batched_calls.sightings.ask(sighting).await)
    }

    async fn set_status(
        &self,
        user: &str,
        status: ChosenStatus,
        text: Option<&str>,
        at: i64,
    ) -> Result<(), StoreError> {
        self.checked(set_status(&self.conn().await?, user, status, text, at).await)
    }

    async fn put_profile(&self, user: &str, change: &ProfileChange, at: i64) -> Result<UserRow, StoreError> {
        self.checked(put_profile(&self.conn().await?, user, change, at).await)
    }

    async fn take_profile(
        &self,
        user: &str,
        name: Option<&str>,
        avatar: Option<&str>,
        issued_at: i64,
    ) -> Result<UserRow, StoreError> {
        self.checked(take_profile(&self.conn().await?, user, name, avatar, issued_at).await)
    }

    async fn users(&self, ids: &[String]) -> Result<Vec<UserRow>, StoreError> {
        self.counted(self.batched_calls.users.ask(ids.to_vec()).await)
    }

    async fn revoke(&self, user: &str, before: i64) -> Result<(), StoreError> {
        self.checked(revocations::revoke(&self.conn().await?, user, before).await)
    }

    async fn revoked(&self, user: &str) -> Result<Option<i64>, StoreError> {
        self.counted(self.batched_calls.revoked.ask(user.to_owned()).await)
    }

    async fn forget_revocations(&self, cutoff: i64) -> Result<u64, StoreError> {
        self.checked(revocations::forget(&self.conn().await?, cutoff).await)
    }
}
