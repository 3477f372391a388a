//! Listing, counting and replaying records, and the removal of old and surplus ones.

use rusqlite::{Connection, params};

use super::row::{COLUMNS, fill_recipients, record};
use crate::{
    OutboxCount, OutboxRetention, OutboxTrimmed, Record, RecordState, RoomId,
    outbox::{EVICTION_ORDER, Measure, REPLAY_BATCH, excess_by_user},
    sqlite::{batch::Batch, column::Seq, write::Write},
};

/// Records one commit removes at most.
const TRIM_BATCH: u32 = 512;

pub(super) fn list(
    conn: &Connection,
    state: Option<RecordState>,
    limit: u32,
) -> rusqlite::Result<Vec<Record>> {
    let mut records = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM outbox WHERE ?1 IS NULL OR state = ?1 ORDER BY n DESC LIMIT ?2"
        ))?
        .query_map(params![state, limit], record)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    fill_recipients(conn, &mut records)?;
    Ok(records)
}

pub(super) fn of_message(
    conn: &Connection,
    room: RoomId,
    seq: u64,
    limit: u32,
) -> rusqlite::Result<Vec<Record>> {
    let mut records = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM outbox WHERE room_id = ?1 AND seq = ?2 ORDER BY n LIMIT ?3"
        ))?
        .query_map(params![room, Seq(seq), limit], record)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    fill_recipients(conn, &mut records)?;
    Ok(records)
}

pub(super) fn counts(conn: &Connection) -> rusqlite::Result<Vec<OutboxCount>> {
    conn.prepare_cached("SELECT sink, state, count(*), sum(bytes), min(at) FROM outbox GROUP BY sink, state")?
        .query_map([], |row| {
            Ok(OutboxCount {
                sink: row.get(0)?,
                state: row.get(1)?,
                records: row.get::<_, Seq>(2)?.0,
                bytes: row.get::<_, Seq>(3)?.0,
                oldest_at: row.get(4)?,
            })
        })?
        .collect()
}

/// When the newest dead record died.
pub(super) fn last_death(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT max(due_at) FROM outbox WHERE state = 2")?
        .query_row([], |row| row.get(0))
}

/// Makes records due at a time, one commit's worth. Answers how many.
pub(super) struct RetryRecords {
    pub(super) which: Retried,
    pub(super) now: i64,
}

/// Which records a commit makes due.
pub(super) enum Retried {
    /// Records that died at this time or before.
    DeadUntil(i64),
    /// The record with this id.
    Id(String),
}

impl Write for RetryRecords {
    type Answer = u64;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<u64> {
        const DEAD: &str = "UPDATE outbox SET state = 0, attempts = 0, due_at = ?1, last_error = NULL
            WHERE n IN (SELECT n FROM outbox WHERE state = 2 AND due_at <= ?2 ORDER BY due_at LIMIT ?3)";
        const ONE: &str =
            "UPDATE outbox SET state = 0, attempts = 0, due_at = ?1, last_error = NULL WHERE id = ?2";
        let conn = batch.conn;
        let rows = match &self.which {
            Retried::DeadUntil(until) => {
                conn.prepare_cached(DEAD)?
                    .execute(params![self.now, until, REPLAY_BATCH])?
            }
            Retried::Id(id) => conn.prepare_cached(ONE)?.execute(params![self.now, id])?,
        };
        batch.recorded |= rows > 0;
        Ok(rows as u64)
    }
}

/// Whether a trim has anything to remove. Most have nothing, and then cost no commit.
pub(super) fn needs_trim(conn: &Connection, keep: OutboxRetention, now: i64) -> rusqlite::Result<bool> {
    const OLD: &str = "SELECT 1 FROM outbox WHERE state = ?1 AND due_at < ?2 LIMIT 1";
    for (state, kept_ms) in keep.settled() {
        let before = now.saturating_sub(kept_ms);
        if conn.prepare_cached(OLD)?.exists(params![state, before])? {
            return Ok(true);
        }
    }
    for measure in Measure::ALL {
        if total(conn, measure, "true")? > measure.limit(keep) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn total(conn: &Connection, measure: Measure, which: &str) -> rusqlite::Result<u64> {
    let sql = format!(
        "SELECT coalesce(sum({}), 0) FROM outbox WHERE {which}",
        measure.column()
    );
    conn.prepare_cached(&sql)?
        .query_row([], |row| Ok(row.get::<_, Seq>(0)?.0))
}

/// Removes old and surplus records, one commit's worth.
pub(super) struct Trim {
    pub(super) keep: OutboxRetention,
    pub(super) now: i64,
}

impl Write for Trim {
    /// Removed records, and whether there may be more to remove.
    type Answer = (OutboxTrimmed, bool);

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<(OutboxTrimmed, bool)> {
        const OLD: &str = "DELETE FROM outbox WHERE n IN
            (SELECT n FROM outbox WHERE state = ?1 AND due_at < ?2 ORDER BY due_at LIMIT ?3)";
        let (conn, keep) = (batch.conn, self.keep);
        let mut trimmed = OutboxTrimmed::default();
        let mut more = false;
        for (state, kept_ms) in keep.settled() {
            let before = self.now.saturating_sub(kept_ms);
            let rows = conn
                .prepare_cached(OLD)?
                .execute(params![state, before, TRIM_BATCH])?;
            more |= rows == TRIM_BATCH as usize;
            trimmed.settled += rows as u64;
        }
        for measure in Measure::ALL {
            more |= evict(conn, measure, keep, &mut trimmed)?;
        }
        batch.erased |= trimmed != OutboxTrimmed::default();
        Ok((trimmed, more))
    }
}

/// Removes records until the outbox is within a limit, one commit's worth at most. Returns whether there
/// may be more to remove.
fn evict(
    conn: &Connection,
    measure: Measure,
    keep: OutboxRetention,
    trimmed: &mut OutboxTrimmed,
) -> rusqlite::Result<bool> {
    let limit = measure.limit(keep);
    for (which, settled) in EVICTION_ORDER {
        let excess = total(conn, measure, "true")?.saturating_sub(limit);
        if excess == 0 {
            return Ok(false);
        }
        let rows = remove(conn, measure, which, None, excess)?;
        if settled {
            trimmed.settled += rows;
        } else {
            trimmed.pending += rows;
        }
        if rows == u64::from(TRIM_BATCH) {
            return Ok(true);
        }
    }
    let mut more = false;
    for (user, excess) in excess_by_user(shares(conn, measure)?, limit) {
        let rows = remove(conn, measure, "user_id IS ?3", Some(&user), excess)?;
        trimmed.pending += rows;
        more |= rows == u64::from(TRIM_BATCH);
    }
    Ok(more)
}

/// Removes the oldest records of a kind that make up an excess, one commit's worth at most.
fn remove(
    conn: &Connection,
    measure: Measure,
    which: &str,
    user: Option<&Option<String>>,
    excess: u64,
) -> rusqlite::Result<u64> {
    let sql = format!(
        "DELETE FROM outbox WHERE n IN (
            SELECT n FROM (
                SELECT n, weight, sum(weight) OVER (ORDER BY due_at, n) AS total FROM (
                    SELECT n, due_at, {} AS weight FROM outbox WHERE {which} ORDER BY due_at, n LIMIT ?2))
            WHERE total - weight < ?1)",
        measure.column()
    );
    let mut delete = conn.prepare_cached(&sql)?;
    let rows = match user {
        Some(user) => delete.execute(params![Seq(excess), TRIM_BATCH, user])?,
        None => delete.execute(params![Seq(excess), TRIM_BATCH])?,
    };
    Ok(rows as u64)
}

/// What each user's records make up.
fn shares(conn: &Connection, measure: Measure) -> rusqlite::Result<Vec<(Option<String>, u64)>> {
    let sql = format!(
        "SELECT user_id, sum({}) FROM outbox GROUP BY user_id",
        measure.column()
    );
    conn.prepare_cached(&sql)?
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, Seq>(1)?.0)))?
        .collect()
}
