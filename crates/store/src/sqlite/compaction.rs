//! Compaction of the file after erasures: parts of pages that no row uses may still hold copies of deleted
//! rows.
//!
//! The file's `user_version` says that an erasure has ended since the last compaction. So a crash between
//! the two only postpones the compaction to the next start.

use std::path::Path;

use rusqlite::Connection;

const DUE: i64 = 1;

/// Notes in the current transaction that an erasure has ended.
pub(super) fn note_due(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "user_version", DUE)
}

/// Compacts the file. Outside of transactions.
pub(super) fn compact(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("VACUUM")?;
    conn.pragma_update(None, "user_version", 0)
}

/// Compacts the file at `path` if a crash came before the compaction, and the file has at most `up_to` bytes.
pub(super) fn compact_if_due(conn: &Connection, path: &Path, up_to: u64) {
    let is_small = || path.metadata().is_ok_and(|file| file.len() <= up_to);
    let is_due = || conn.query_row("PRAGMA user_version", [], |row| Ok(row.get::<_, i64>(0)? == DUE));
    let compacted = is_due().and_then(|is_due| {
        if !is_due || !is_small() {
            return Ok(());
        }
        tracing::info!("compacting the database, since the server stopped after an erasure and before this");
        compact(conn)
    });
    if let Err(error) = compacted {
        tracing::warn!(
            %error,
            "failed to compact the database after an erasure; the next start or erasure tries again"
        );
    }
}
