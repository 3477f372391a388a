//! Counts of a member's unread messages and mentions. The rows that they read do not grow with the room.

use tokio_postgres::Row;

use super::{
    conn::Conn,
    failure::Failure,
    value::{Columns as _, text},
};
use crate::{RoomId, Unread};

/// The columns of [`JOINS`] that [`counts`] reads.
pub(super) const COLUMNS: &str = "u.messages, u.mentions";

/// Joins that count for member `m` of room `r`: messages by others after the read mark that are kept and not
/// deleted, and those that mention the member. [`crate::unread`] explains the blocks.
pub(super) const JOINS: &str = "
    CROSS JOIN LATERAL (SELECT greatest(r.first, m.read_seq + 1) AS low) l
    CROSS JOIN LATERAL (SELECT
        CASE WHEN l.low > r.head THEN 0 ELSE
            coalesce((SELECT r.messages - e.messages + (e.kind = 0)::int FROM entries e
                WHERE e.room_id = r.id AND e.seq = l.low), 0)
            - coalesce((SELECT e.own_messages FROM entries e WHERE e.room_id = r.id AND e.user_id = m.user_id
                    AND e.kind = 0 AND e.seq >= l.low ORDER BY e.seq DESC LIMIT 1)
                - (SELECT e.own_messages - 1 FROM entries e WHERE e.room_id = r.id AND e.user_id = m.user_id
                    AND e.kind = 0 AND e.seq >= l.low ORDER BY e.seq LIMIT 1), 0)
            - CASE WHEN r.deletions = 0 THEN 0 ELSE
                (SELECT count(*) FROM message_states s WHERE s.room_id = r.id AND s.author <> m.user_id
                    AND s.seq >= l.low AND s.seq <= (l.low | 127) AND s.deleted = 1)
                + (SELECT
                    coalesce(sum(CASE c.user_id WHEN '' THEN c.messages ELSE -c.messages END), 0)::bigint
                    FROM deletion_counts c WHERE c.room_id = r.id AND c.user_id IN ('', m.user_id)
                    AND c.size = 128 AND c.last_seq > (l.low | 127) AND c.last_seq <= (l.low | 16383))
                + (SELECT
                    coalesce(sum(CASE c.user_id WHEN '' THEN c.messages ELSE -c.messages END), 0)::bigint
                    FROM deletion_counts c WHERE c.room_id = r.id AND c.user_id IN ('', m.user_id)
                    AND c.size = 16384 AND c.last_seq > (l.low | 16383))
            END
        END AS messages,
        CASE WHEN l.low > r.head THEN 0 ELSE
            (SELECT count(*) FROM mentions o WHERE o.room_id = r.id AND o.user_id = m.user_id
                AND o.seq >= l.low AND o.seq <= (l.low | 127))
            + CASE WHEN r.head <= (l.low | 127) THEN 0 ELSE
                (SELECT coalesce(sum(c.messages), 0)::bigint FROM mention_counts c
                    WHERE c.room_id = r.id AND c.user_id = m.user_id AND c.size = 128
                    AND c.last_seq > (l.low | 127) AND c.last_seq <= (l.low | 16383))
                + (SELECT coalesce(sum(c.messages), 0)::bigint FROM mention_counts c
                    WHERE c.room_id = r.id AND c.user_id = m.user_id AND c.size = 16384
                    AND c.last_seq > (l.low | 16383))
            END
        END AS mentions) u";

/// Reads the [`COLUMNS`] of a row, beginning with column `at`.
pub(super) fn counts(row: &Row, at: usize) -> Result<Unread, Failure> {
    Ok(Unread {
        messages: row.num(at)?,
        mentions: row.num(at + 1)?,
    })
}

/// The counts of an active member; `None` if the user is none.
pub(super) async fn of_member(conn: &Conn, room: RoomId, user: &str) -> Result<Option<Unread>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM members m JOIN rooms r ON r.id = m.room_id {JOINS}
         WHERE m.room_id = $1 AND m.user_id = $2 AND m.active = 1"
    );
    let row = conn.row(&sql, &[&room, &text(user)]).await?;
    row.map(|row| counts(&row, 0)).transpose()
}
