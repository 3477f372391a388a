//! Rows of members.

use rusqlite::Row;

use super::column::Seq;
use crate::Member;

/// The columns that [`member`] reads.
pub(super) const COLUMNS: &str = "m.user_id, m.read_seq, m.read_at, m.delivered_seq, m.joined_at, m.role,
    m.membership";

/// Reads the [`COLUMNS`] of a row, beginning with column `at`.
pub(super) fn member(row: &Row<'_>, at: usize) -> rusqlite::Result<Member> {
    Ok(Member {
        user_id: row.get(at)?,
        read_seq: row.get::<_, Seq>(at + 1)?.0,
        read_at: row.get(at + 2)?,
        delivered_seq: row.get::<_, Seq>(at + 3)?.0,
        joined_at: row.get(at + 4)?,
        role: row.get(at + 5)?,
        membership: row.get::<_, Seq>(at + 6)?.0,
    })
}
