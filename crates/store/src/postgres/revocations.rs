//! Revoked tokens.

use super::{
    conn::Conn,
    failure::Failure,
    value::{Columns as _, text},
};

/// For each user the time before which their tokens are revoked.
pub(super) async fn get_all(conn: &Conn, users: Vec<String>) -> Result<Vec<Option<i64>>, Failure> {
    const SQL: &str = "SELECT r.before FROM unnest($1::text[]) WITH ORDINALITY t (user_id, at)
        LEFT JOIN revocations r ON r.user_id = t.user_id ORDER BY t.at";
    let users: Vec<_> = users.iter().map(|user| text(user)).collect();
    let rows = conn.rows(SQL, &[&users]).await?;
    rows.iter().map(|row| row.opt_int(0)).collect()
}

/// Revokes the user's tokens that were issued before a time.
pub(super) async fn revoke(conn: &Conn, user: &str, before: i64) -> Result<(), Failure> {
    const SQL: &str = "INSERT INTO revocations AS r (user_id, before) VALUES ($1, $2)
        ON CONFLICT (user_id) DO UPDATE SET before = greatest(excluded.before, r.before)";
    conn.run(SQL, &[&text(user), &before]).await.map(drop)
}

/// Deletes the revocations whose time is before `cutoff`.
pub(super) async fn forget(conn: &Conn, cutoff: i64) -> Result<u64, Failure> {
    conn.run("DELETE FROM revocations WHERE before < $1", &[&cutoff])
        .await
}
