//! Writes and reads of health checks.

use super::{conn::Conn, failure::Failure, generation::LogState, value::Columns as _};

/// Commits a write, and verifies the identity of the database and the data folder.
pub(super) async fn heartbeat(conn: &Conn, log_state: &LogState) -> Result<(), Failure> {
    const SQL: &str = "UPDATE health_probe SET writes = writes + 1
        RETURNING (SELECT l.identity FROM log_head l WHERE l.id = 1)";
    let row = conn.one(SQL, &[]).await?;
    log_state.check_identity(&row.text(0)?)?;
    Ok(log_state.check_file().await?)
}

/// The time by the database's clock, in milliseconds since 1970.
pub(super) async fn clock(conn: &Conn) -> Result<i64, Failure> {
    const SQL: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let row = conn.row(SQL, &[]).await?;
    row.as_ref().map_or(Ok(i64::MAX), |row| row.int(0))
}

/// The size of the database in bytes.
pub(super) async fn size(conn: &Conn) -> Result<u64, Failure> {
    conn.one("SELECT pg_database_size(current_database())", &[])
        .await?
        .num(0)
}
