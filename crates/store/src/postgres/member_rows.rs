//! Rows of members.

use tokio_postgres::Row;

use super::{failure::Failure, value::Columns as _};
use crate::Member;

/// The columns that [`member`] reads.
pub(super) const COLUMNS: &str = "m.user_id, m.read_seq, m.read_at, m.delivered_seq, m.joined_at, m.role,
    m.membership";

/// Reads the [`COLUMNS`] of a row, beginning with column `at`.
pub(super) fn member(row: &Row, at: usize) -> Result<Member, Failure> {
    Ok(Member {
        user_id: row.text(at)?,
        read_seq: row.num(at + 1)?,
        read_at: row.opt_int(at + 2)?,
        delivered_seq: row.num(at + 3)?,
        joined_at: row.int(at + 4)?,
        role: row.kind(at + 5)?,
        membership: row.num(at + 6)?,
    })
}
