//! Known users: name, last seen, chosen status.

use async_trait::async_trait;
use std::collections::HashMap;

use super::{
    PostgresStore,
    conn::Conn,
    failure::Failure,
    revocations,
    value::{Columns as _, opt_text, text},
};
use crate::{ChosenStatus, StoreError, UserRow, Users, numbers::Numbered as _, personal_data::hash};

/// For each list of ids the known users, in its order.
pub(super) async fn get_all(conn: &Conn, asks: Vec<Vec<String>>) -> Result<Vec<Vec<UserRow>>, Failure> {
    const SQL: &str =
        "SELECT user_id, name, last_seen, status, status_text FROM users WHERE user_id = ANY($1)";
    let wanted: Vec<_> = asks.iter().flatten().map(|id| text(id)).collect();
    let mut found = HashMap::new();
    for row in conn.rows(SQL, &[&wanted]).await? {
        let user = UserRow {
            user_id: row.text(0)?,
            name: row.opt_text(1)?,
            last_seen: row.int(2)?,
            status: row.kind(3)?,
            status_text: row.opt_text(4)?,
        };
        found.insert(user.user_id.clone(), user);
    }
    let known = |ids: Vec<String>| ids.iter().filter_map(|id| found.get(id).cloned()).collect();
    Ok(asks.into_iter().map(known).collect())
}

/// A user seen at a time, with a name if known.
#[derive(Clone)]
pub(super) struct Sighting {
    pub(super) user: String,
    pub(super) name: Option<String>,
    pub(super) at: i64,
}

/// Stores sightings: the latest time, and the last name in their order.
pub(super) async fn see_all(conn: &Conn, sightings: Vec<Sighting>) -> Result<Vec<()>, Failure> {
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
    // A node may still note that it saw a user who is erased by now.
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
    const SQL: &str =
        "INSERT INTO users AS u (user_id, last_seen, status, status_text) VALUES ($1, $2, $3, $4)
        ON CONFLICT (user_id) DO UPDATE SET status = excluded.status, status_text = excluded.status_text,
            last_seen = greatest(excluded.last_seen, u.last_seen)";
    conn.run(SQL, &[&text(user), &at, &status.number(), &opt_text(said)])
        .await
        .map(drop)
}

#[async_trait]
impl Users for PostgresStore {
    async fn see_user(&self, user: &str, name: Option<&str>, last_seen: i64) -> Result<(), StoreError> {
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
