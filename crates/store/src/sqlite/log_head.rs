//! The head of the log.

use rusqlite::Connection;

use super::column::Seq;
use crate::{LogHead, LogPosition};

/// The head of the log.
pub(super) fn read(conn: &Connection) -> rusqlite::Result<LogHead> {
    conn.query_row("SELECT epoch, position FROM log_head", [], |row| {
        Ok(LogHead {
            epoch: row.get(0)?,
            position: LogPosition(row.get::<_, Seq>(1)?.0),
        })
    })
}
