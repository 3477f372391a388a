//! What a health check writes and reads.

use super::{conn::Conn, failure::Failure};

/// Adds one beat, so that there is something to commit, and reads it back.
pub(super) async fn beat(conn: &Conn) -> Result<(), Failure> {
    conn.row("UPDATE probe SET beats = beats + 1 RETURNING beats", &[])
        .await
        .map(drop)
}
