//! Listing, counting and replaying records, and the removal of old and surplus ones.

use super::{
    super::{
        conn::Conn,
        failure::Failure,
        value::{Columns as _, num, opt_text},
    },
    COLUMNS, records,
};
use crate::{
    OutboxCount, OutboxRetention, OutboxTrimmed, Record, RecordState, RoomId,
    numbers::Numbered as _,
    outbox::{EVICTION_ORDER, Measure, REPLAY_BATCH, excess_by_user},
};

/// Records one commit removes at most.
const TRIM_BATCH: u64 = 512;

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
    records(conn, &rows).await
}

pub(super) async fn of_message(
    conn: &Conn,
    room: RoomId,
    seq: u64,
    limit: u32,
) -> Result<Vec<Record>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE room_id = $1 AND seq = $2 ORDER BY n LIMIT $3");
    let rows = conn.rows(&sql, &[&room, &num(seq), &i64::from(limit)]).await?;
    records(conn, &rows).await
}

pub(super) async fn counts(conn: &Conn) -> Result<Vec<OutboxCount>, Failure> {
    const SQL: &str = "SELECT sink, state, count(*), sum(bytes)::bigint, min(at) FROM outbox
        GROUP BY sink, state ORDER BY sink, state";
    let rows = conn.rows(SQL, &[]).await?;
    let counts = rows.iter().map(|row| {
        Ok(OutboxCount {
            sink: row.text(0)?,
            state: row.kind(1)?,
            records: row.num(2)?,
            bytes: row.num(3)?,
            oldest_at: row.int(4)?,
        })
    });
    counts.collect()
}

/// When the newest dead record died.
pub(super) async fn last_death(conn: &Conn) -> Result<Option<i64>, Failure> {
    const SQL: &str = "SELECT max(due_at) FROM outbox WHERE state = 2";
    conn.one(SQL, &[]).await?.opt_int(0)
}

/// Makes records due that died at `until` or before, one commit's worth. Returns how many.
pub(super) async fn retry_dead(conn: &Conn, until: i64, now: i64) -> Result<u64, Failure> {
    // Another node may have made a record due since the subquery saw it.
    const SQL: &str = "UPDATE outbox SET state = 0, attempts = 0, due_at = $1, last_error = NULL
        WHERE state = 2 AND n IN
            (SELECT n FROM outbox WHERE state = 2 AND due_at <= $2 ORDER BY due_at LIMIT $3)";
    conn.run(SQL, &[&now, &until, &i64::from(REPLAY_BATCH)]).await
}

/// Makes a record due, whatever its state. Returns how many rows it has, one for each sink.
pub(super) async fn retry(conn: &Conn, id: &String, now: i64) -> Result<u64, Failure> {
    const SQL: &str =
        "UPDATE outbox SET state = 0, attempts = 0, due_at = $1, last_error = NULL WHERE id = $2";
    conn.run(SQL, &[&now, id]).await
}

/// Removes old and surplus records, one commit's worth. Also returns whether there may be more.
pub(super) async fn trim(
    conn: &Conn,
    keep: OutboxRetention,
    now: i64,
) -> Result<(OutboxTrimmed, bool), Failure> {
    const OLD: &str = "DELETE FROM outbox WHERE n IN
        (SELECT n FROM outbox WHERE state = $1 AND due_at < $2 ORDER BY due_at LIMIT $3)";
    let mut trimmed = OutboxTrimmed::default();
    let mut more = false;
    for (state, kept_ms) in keep.settled() {
        let before = now.saturating_sub(kept_ms);
        let rows = conn
            .run(OLD, &[&state.number(), &before, &num(TRIM_BATCH)])
            .await?;
        more |= rows == TRIM_BATCH;
        trimmed.settled += rows;
    }
    for measure in Measure::ALL {
        more |= evict(conn, measure, keep, &mut trimmed).await?;
    }
    Ok((trimmed, more))
}

/// Removes records until the outbox is within a limit, one commit's worth at most. Returns whether there
/// may be more to remove.
async fn evict(
    conn: &Conn,
    measure: Measure,
    keep: OutboxRetention,
    trimmed: &mut OutboxTrimmed,
) -> Result<bool, Failure> {
    let limit = measure.limit(keep);
    for (which, settled) in EVICTION_ORDER {
        let excess = total(conn, measure).await?.saturating_sub(limit);
        if excess == 0 {
            return Ok(false);
        }
        let rows = conn
            .run(&removal(measure, which), &[&num(excess), &num(TRIM_BATCH)])
            .await?;
        if settled {
            trimmed.settled += rows;
        } else {
            trimmed.pending += rows;
        }
        if rows == TRIM_BATCH {
            return Ok(true);
        }
    }
    let mut more = false;
    let of_user = removal(measure, "user_id IS NOT DISTINCT FROM $3");
    for (user, excess) in excess_by_user(shares(conn, measure).await?, limit) {
        let user = opt_text(user.as_deref());
        let rows = conn
            .run(&of_user, &[&num(excess), &num(TRIM_BATCH), &user])
            .await?;
        trimmed.pending += rows;
        more |= rows == TRIM_BATCH;
    }
    Ok(more)
}

async fn total(conn: &Conn, measure: Measure) -> Result<u64, Failure> {
    let sql = format!(
        "SELECT coalesce(sum({}), 0)::bigint FROM outbox",
        measure.column()
    );
    conn.one(&sql, &[]).await?.num(0)
}

/// Removes the oldest records of a kind that make up the excess `$1`, `$2` at most.
fn removal(measure: Measure, which: &str) -> String {
    format!(
        "DELETE FROM outbox WHERE n IN (
            SELECT n FROM (
                SELECT n, weight, sum(weight) OVER (ORDER BY due_at, n) AS total FROM (
                    SELECT n, due_at, {} AS weight FROM outbox WHERE {which} ORDER BY due_at, n LIMIT $2) o) o
            WHERE (total - weight)::bigint < $1)",
        measure.column()
    )
}

/// What each user's records make up.
async fn shares(conn: &Conn, measure: Measure) -> Result<Vec<(Option<String>, u64)>, Failure> {
    let sql = format!(
        "SELECT user_id, sum({})::bigint FROM outbox GROUP BY user_id",
        measure.column()
    );
    let rows = conn.rows(&sql, &[]).await?;
    rows.iter()
        .map(|row| Ok((row.opt_text(0)?, row.num(1)?)))
        .collect()
}
