//! Tokens that are void although they were signed.

use super::{
    conn::Conn,
    failure::Failure,
    value::{Columns as _, text},
};

/// The time before which the user's tokens are void.
pub(super) async fn get(conn: &Conn, user: &str) -> Result<Option<i64>, Failure> {
    let row = conn
        .row(
            "SELECT before FROM revocations WHERE user_id = $1",
            &[&text(user)],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}

/// Voids the user's tokens up to a time.
pub(super) async fn revoke(conn: &Conn, user: &str, before: i64) -> Result<(), Failure> {
    const SQL: &str = "INSERT INTO revocations AS r (user_id, before) VALUES ($1, $2)
        ON CONFLICT (user_id) DO UPDATE SET before = greatest(excluded.before, r.before)";
    conn.run(SQL, &[&text(user), &before]).await.map(drop)
}

/// Forgets what was voided before a time.
pub(super) async fn forget(conn: &Conn, cutoff: i64) -> Result<u64, Failure> {
    conn.run("DELETE FROM revocations WHERE before < $1", &[&cutoff])
        .await
}
