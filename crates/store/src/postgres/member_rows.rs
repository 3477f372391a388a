//! Rows of members: their columns, and the counts of unread messages.

use tokio_postgres::Row;

use super::{failure::Failure, value::Columns as _};
use crate::{Member, Unread};

/// The columns that [`member`] reads.
pub(super) const COLUMNS: &str = "m.user_id, m.read_seq, m.read_at, m.delivered_seq, m.joined_at, m.role,
    m.membership";

/// Unread counts of member `m` of room `r`: messages by others after the read mark that are stored and not
/// deleted. Reads every row after the mark.
pub(super) const UNREAD: &str = "(SELECT count(*) FROM entries e WHERE e.room_id = r.id
            AND e.seq >= greatest(r.first, m.read_seq + 1) AND e.kind = 0 AND e.user_id <> m.user_id)
        - (SELECT count(*) FROM message_states s WHERE s.room_id = r.id
            AND s.seq >= greatest(r.first, m.read_seq + 1) AND s.deleted = 1 AND s.author <> m.user_id),
        (SELECT count(*) FROM mentions o WHERE o.room_id = r.id
            AND o.seq >= greatest(r.first, m.read_seq + 1) AND o.user_id = m.user_id)";

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

/// Reads the counts of [`UNREAD`], beginning with column `at`.
pub(super) fn unread_counts(row: &Row, at: usize) -> Result<Unread, Failure> {
    Ok(Unread {
        messages: row.num(at)?,
        mentions: row.num(at + 1)?,
    })
}
