//! What operators ask of the outbox, and what is removed from it.

use super::{
    super::{conn::Conn, failure::Failure, value::Columns as _},
    COLUMNS, record,
};
use crate::{
    OutboxCount, OutboxRetention, OutboxTrimmed, Record, RecordState, Replay, numbers::Numbered as _,
};

/// Records one commit removes at most.
const BITE: u64 = 512;

pub(super) async fn list(
    conn: &Conn,
    state: Option<RecordState>,
    limit: u32,
) -> Result<Vec<Record>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox WHERE $1::bigint IS NULL OR state = $1 ORDER BY n DESC LIMIT $2"
    );
    let rows = conn
        .rows(&sql, &[&state.map(RecordState::number), &i64::from(limit)])
        .await?;
    rows.iter().map(record).collect()
}

pub(super) async fn counts(conn: &Conn) -> Result<Vec<OutboxCount>, Failure> {
    let sql = "SELECT sink, state, count(*) FROM outbox GROUP BY sink, state ORDER BY sink, state";
    let rows = conn.rows(sql, &[]).await?;
    let counts = rows.iter().map(|row| {
        Ok(OutboxCount {
            sink: row.text(0)?,
            state: row.kind(1)?,
            records: row.num(2)?,
        })
    });
    counts.collect()
}

pub(super) async fn again(conn: &Conn, which: &Replay, now: i64) -> Result<u64, Failure> {
    const DEAD: &str =
        "UPDATE outbox SET state = 0, attempts = 0, due_at = $1, last_error = NULL WHERE state = 2";
    const ONE: &str =
        "UPDATE outbox SET state = 0, attempts = 0, due_at = $1, last_error = NULL WHERE id = $2";
    match which {
        Replay::Dead => conn.run(DEAD, &[&now]).await,
        Replay::Id(id) => conn.run(ONE, &[&now, id]).await,
    }
}

/// Removes a bite of what is over its time or too much. Also answers whether there may be more of it.
pub(super) async fn trim(
    conn: &Conn,
    keep: OutboxRetention,
    now: i64,
) -> Result<(OutboxTrimmed, bool), Failure> {
    const OLD: &str = "DELETE FROM outbox WHERE n IN
        (SELECT n FROM outbox WHERE state = $1 AND due_at < $2 ORDER BY due_at LIMIT $3)";
    const FIRST: &str = "DELETE FROM outbox WHERE n IN
        (SELECT n FROM outbox WHERE state = $1 ORDER BY due_at LIMIT $2)";
    let bite = i64::try_from(BITE).unwrap_or(i64::MAX);
    let mut removed = OutboxTrimmed::default();
    let mut more = false;
    for (state, kept_ms) in [
        (RecordState::Delivered, keep.delivered_ms),
        (RecordState::Dead, keep.dead_ms),
    ] {
        let before = now.saturating_sub(kept_ms);
        let rows = conn.run(OLD, &[&state.number(), &before, &bite]).await?;
        more |= rows == BITE;
        removed.settled += rows;
    }
    // Between the first and the last key lie at least as many numbers as there are records.
    let span = "SELECT coalesce((SELECT max(n) FROM outbox) - (SELECT min(n) FROM outbox) + 1, 0)";
    if conn.one(span, &[]).await?.num(0)? <= keep.records {
        return Ok((removed, more));
    }
    let records = conn.one("SELECT count(*) FROM outbox", &[]).await?.num(0)?;
    let mut excess = records.saturating_sub(keep.records);
    more |= excess > BITE;
    excess = excess.min(BITE);
    for state in [RecordState::Delivered, RecordState::Dead, RecordState::Pending] {
        let most = i64::try_from(excess).unwrap_or(i64::MAX);
        let rows = conn.run(FIRST, &[&state.number(), &most]).await?;
        excess = excess.saturating_sub(rows);
        match state {
            RecordState::Pending => removed.pending += rows,
            _ => removed.settled += rows,
        }
    }
    Ok((removed, more))
}
