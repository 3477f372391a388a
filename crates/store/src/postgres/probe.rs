//! What a health check writes and reads.

use super::{conn::Conn, failure::Failure, value::Columns as _};

/// Adds one beat, so that there is something to commit, and reads it back.
pub(super) async fn beat(conn: &Conn) -> Result<(), Failure> {
    conn.row("UPDATE probe SET beats = beats + 1 RETURNING beats", &[])
        .await
        .map(drop)
}

/// The database's time, in milliseconds since 1970.
pub(super) async fn clock(conn: &Conn) -> Result<i64, Failure> {
    const SQL: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let row = conn.row(SQL, &[]).await?;
    row.as_ref().map_or(Ok(i64::MAX), |row| row.int(0))
}
