//! Known users: name, last seen, chosen status.

use std::collections::HashMap;

use super::{
    conn::Conn,
    failure::Failure,
    value::{Columns as _, opt_text, text},
};
use crate::{ChosenStatus, UserRow, numbers::Numbered as _};

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
        FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY t (user_id, name, at, place)
        GROUP BY user_id ORDER BY user_id
        ON CONFLICT (user_id) DO UPDATE SET
            name = coalesce(excluded.name, u.name), last_seen = greatest(excluded.last_seen, u.last_seen)";
    let users: Vec<_> = sightings.iter().map(|seen| text(&seen.user)).collect();
    let names: Vec<_> = sightings
        .iter()
        .map(|seen| opt_text(seen.name.as_deref()))
        .collect();
    let times: Vec<_> = sightings.iter().map(|seen| seen.at).collect();
    conn.run(SQL, &[&users, &names, &times]).await?;
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
