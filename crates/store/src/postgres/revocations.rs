//! Revoked tokens.

use super::{
    conn::Conn,
    failure::Failure,
    value::{Columns as _, text},
};
use crate::personal_data::hash;

/// For each user the time before which their tokens are invalid.
pub(super) async fn get_all(conn: &Conn, users: Vec<String>) -> Result<Vec<Option<i64>>, Failure> {
    const SQL: &str = "SELECT greatest(r.before, e.before)
        FROM unnest($1::text[], $2::text[]) WITH ORDINALITY t (user_id, hash, at)
        LEFT JOIN revocations r ON r.user_id = t.user_id
        LEFT JOIN erased_users e ON e.hash = t.hash ORDER BY t.at";
    let hashes: Vec<_> = users.iter().map(|user| hash(user)).collect();
    let users: Vec<_> = users.iter().map(|user| text(user)).collect();
    let rows = conn.rows(SQL, &[&users, &hashes]).await?;
    rows.iter().map(|row| row.opt_int(0)).collect()
}

/// Invalidates the user's tokens issued before a time.
pub(super) async fn revoke(conn: &Conn, user: &str, before: i64) -> Result<(), Failure> {
    const SQL: &str = "INSERT INTO revocations AS r (user_id, before) VALUES ($1, $2)
        ON CONFLICT (user_id) DO UPDATE SET before = greatest(excluded.before, r.before)";
    conn.run(SQL, &[&text(user), &before]).await.map(drop)
}

/// Deletes revocations older than a time.
pub(super) async fn forget(conn: &Conn, cutoff: i64) -> Result<u64, Failure> {
    let revoked = conn
        .run("DELETE FROM revocations WHERE before < $1", &[&cutoff])
        .await?;
    let erased = conn
        .run("DELETE FROM erased_users WHERE before < $1", &[&cutoff])
        .await?;
    Ok(revoked + erased)
}
