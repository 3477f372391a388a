//! Pages of a room's log.

use super::{
    conn::Conn,
    entries::{self, COLUMNS, STATE},
    failure::Failure,
    value::{Columns as _, num},
};
use crate::{History, Page, RoomId};

pub(super) async fn page(
    conn: &Conn,
    room: RoomId,
    page: Page,
    max_bytes: usize,
) -> Result<Option<History>, Failure> {
    let newest_first = page.range.newest_first();
    let (only, order) = if newest_first {
        ("AND e.kind = 0", "DESC")
    } else {
        ("", "ASC")
    };
    // A room without an entry in the range yields one row without an entry. Once bodies fill the page, the
    // query returns no more rows: a page of long texts has few of them. `found` counts all.
    let sql = format!(
        "SELECT r.first, r.head, e.* FROM rooms r LEFT JOIN LATERAL (
            SELECT e.found, {COLUMNS} FROM (
                SELECT e.*, count(*) OVER () AS found, sum(octet_length(e.body)) OVER (ORDER BY e.seq {order}
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                FROM (SELECT * FROM entries e
                    WHERE e.room_id = r.id AND e.seq >= greatest($2, r.first) AND e.seq < $3 {only}
                    ORDER BY e.seq {order} LIMIT $4) e) e {STATE}
            WHERE coalesce(e.before, 0) <= $5
            ORDER BY e.seq {order}) e ON true
         WHERE r.id = $1 ORDER BY e.seq {order}"
    );
    let span = page.range.span();
    conn.begin_snapshot();
    // One more than asked for, to find out whether there are more.
    let limit = i64::from(page.limit) + 1;
    let rows = conn
        .rows(
            &sql,
            &[
                &room,
                &num(span.start),
                &num(span.end),
                &limit,
                &num(max_bytes as u64),
            ],
        )
        .await?;
    let Some(ends) = rows
        .first()
        .map(|row| Ok::<_, Failure>((row.num(0)?, row.num(1)?, row.opt_num(2)?)))
    else {
        conn.end_snapshot()?;
        return Ok(None);
    };
    let (first, head, in_range) = ends?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.extend(entries::entry(row, 3, room)?);
    }
    entries::fill(conn, &mut found).await?;
    conn.end_snapshot()?;
    let (mut entries, mut bytes) = (Vec::with_capacity(found.len()), 0usize);
    for found in found {
        bytes = bytes.saturating_add(found.entry.bytes());
        if entries.len() >= page.limit as usize || (bytes > max_bytes && !entries.is_empty()) {
            break;
        }
        entries.push(found.entry);
    }
    let more = in_range.is_some_and(|in_range| in_range > entries.len() as u64);
    if newest_first {
        entries.reverse();
    }
    Ok(Some(History {
        entries,
        more,
        first,
        head,
    }))
}
