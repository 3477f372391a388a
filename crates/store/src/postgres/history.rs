//! Pages of a room's log.

use super::{
    conn::Conn,
    entries::{self, COLUMNS, STATE},
    failure::Failure,
    value::{Columns as _, num},
};
use crate::{CatchUp, CaughtUp, Entry, History, Page, RoomId, rows::count_fitting};

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
    // A room without entries in the range yields one row without an entry. The query stops where bodies
    // fill the page, since long texts would be fetched only to be dropped. `found` counts all entries in
    // the range.
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
    // One more than requested tells whether there are more.
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
    let found = found.into_iter().map(|found| found.entry);
    let mut entries = cut(found, page.limit, max_bytes);
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

/// The entries that fit into a page, at least one if there is one.
fn cut(found: impl Iterator<Item = Entry>, limit: u32, max_bytes: usize) -> Vec<Entry> {
    let mut entries: Vec<_> = found.take(limit as usize).collect();
    entries.truncate(count_fitting(entries.iter(), max_bytes));
    entries
}

/// See [`CatchUp`].
pub(super) async fn catch_up(
    conn: &Conn,
    ask: &CatchUp,
    max_bytes: usize,
) -> Result<Option<CaughtUp>, Failure> {
    let caught = catch_up_all(conn, std::slice::from_ref(ask), usize::MAX, max_bytes).await?;
    Ok(caught.into_iter().next().flatten())
}

/// Rooms whose pages are in memory together.
const ROOMS_AT_A_TIME: usize = 16;

/// See [`crate::Log::catch_up`].
pub(super) async fn catch_up_all(
    conn: &Conn,
    asks: &[CatchUp],
    bytes: usize,
    page_bytes: usize,
) -> Result<Vec<Option<CaughtUp>>, Failure> {
    let (mut caught, mut read) = (Vec::with_capacity(asks.len()), 0usize);
    for asks in asks.chunks(ROOMS_AT_A_TIME) {
        // Past the limit one entry tells whether there are more.
        let limit = if read >= bytes { 1 } else { u32::MAX };
        let limited = |ask: &CatchUp| CatchUp {
            limit: ask.limit.min(limit),
            ..*ask
        };
        let asks: Vec<_> = asks.iter().map(limited).collect();
        let following = following(conn, &asks, page_bytes).await?;
        for (ask, following) in asks.iter().zip(following) {
            let mut page = match following {
                Some(page) => Some(page),
                None => newest(conn, ask, page_bytes).await?,
            };
            if let Some(CaughtUp { history, .. }) = &mut page {
                if read >= bytes {
                    history.empty();
                }
                read = read.saturating_add(history.bytes());
            }
            caught.push(page);
        }
    }
    Ok(caught)
}

async fn newest(conn: &Conn, ask: &CatchUp, max_bytes: usize) -> Result<Option<CaughtUp>, Failure> {
    let newest = ask.newest();
    let history = page(conn, ask.room, newest, max_bytes).await?;
    Ok(history.map(|history| CaughtUp {
        range: newest.range,
        history,
    }))
}

/// For each room the page that continues what its client has, if there is one. One query for all.
async fn following(
    conn: &Conn,
    asks: &[CatchUp],
    max_bytes: usize,
) -> Result<Vec<Option<CaughtUp>>, Failure> {
    let sql = format!(
        "SELECT t.at, r.first, r.head, e.*
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
            t (room_id, low, high, most, at)
         JOIN rooms r ON r.id = t.room_id LEFT JOIN LATERAL (
            SELECT e.found, {COLUMNS} FROM (
                SELECT e.*, count(*) OVER () AS found, sum(octet_length(e.body)) OVER (ORDER BY e.seq
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                FROM (SELECT * FROM entries e
                    WHERE e.room_id = r.id AND e.seq >= greatest(t.low, r.first) AND e.seq < t.high
                    ORDER BY e.seq LIMIT t.most) e) e {STATE}
            WHERE coalesce(e.before, 0) <= $5
            ORDER BY e.seq) e ON true
         ORDER BY t.at, e.seq"
    );
    let mut pages: Vec<Option<CaughtUp>> = asks.iter().map(|_| None).collect();
    let wanted: Vec<_> = (0..)
        .zip(asks)
        .filter_map(|(at, ask)| Some((at, ask, ask.following()?)))
        .collect();
    if wanted.is_empty() {
        return Ok(pages);
    }
    let rooms: Vec<_> = wanted.iter().map(|(_, ask, _)| ask.room).collect();
    let column = |of: fn(&Page) -> i64| wanted.iter().map(|(.., page)| of(page)).collect::<Vec<_>>();
    let (low, high) = (
        column(|page| num(page.range.span().start)),
        column(|page| num(page.range.span().end)),
    );
    let limits = column(|page| i64::from(page.limit) + 1);
    conn.begin_snapshot();
    let rows = conn
        .rows(&sql, &[&rooms, &low, &high, &limits, &num(max_bytes as u64)])
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    let mut ends: Vec<(usize, u64, u64, Option<u64>)> = Vec::with_capacity(wanted.len());
    for row in &rows {
        let at = row.ordinal(0)?;
        let Some((_, ask, _)) = wanted.get(at) else {
            continue;
        };
        if ends.last().is_none_or(|(last, ..)| *last != at) {
            ends.push((at, row.num(1)?, row.num(2)?, row.opt_num(3)?));
        }
        found.extend(entries::entry(row, 4, ask.room)?);
    }
    entries::fill(conn, &mut found).await?;
    conn.end_snapshot()?;
    // A client asks for a room once.
    let mut found = found.into_iter().peekable();
    for (at, first, head, in_range) in ends {
        let Some((slot, ask, page)) = wanted.get(at) else {
            continue;
        };
        let of_room = std::iter::from_fn(|| found.next_if(|found| found.room == ask.room));
        let of_room: Vec<_> = of_room.map(|found| found.entry).collect();
        let entries = cut(of_room.into_iter(), page.limit, max_bytes);
        let more = in_range.is_some_and(|in_range| in_range > entries.len() as u64);
        let history = History {
            entries,
            more,
            first,
            head,
        };
        if ask.continues(&history)
            && let Some(slot) = pages.get_mut(*slot)
        {
            *slot = Some(CaughtUp {
                range: page.range,
                history,
            });
        }
    }
    Ok(pages)
}
