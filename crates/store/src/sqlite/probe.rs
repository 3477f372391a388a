//! Writes and reads of health checks.

use rusqlite::Connection;

use super::{batch::Batch, write::Write};

/// A write, so that there is something to commit.
pub(super) struct HeartbeatWrite;

impl Write for HeartbeatWrite {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        batch
            .conn
            .prepare_cached("UPDATE health_probe SET writes = writes + 1")?
            .execute([])?;
        Ok(())
    }
}

pub(super) fn read(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT writes FROM health_probe")?
        .query_row([], |row| row.get(0))
}

/// The size of the database in bytes, without the write-ahead log.
pub(super) fn size(conn: &Connection) -> rusqlite::Result<u64> {
    const SQL: &str = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let bytes = conn.prepare_cached(SQL)?.query_row([], |row| row.get(0));
    bytes.map(|bytes: i64| bytes.unsigned_abs())
}
