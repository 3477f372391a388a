//! What operators ask of the outbox, and what is removed from it.

use rusqlite::{Connection, params};

use super::row::{COLUMNS, record};
use crate::{
    OutboxCount, OutboxRetention, OutboxTrimmed, Record, RecordState, Replay,
    sqlite::{batch::Batch, column::Seq, writer::Write},
};

/// Records one commit removes at most.
const BITE: u32 = 512;

pub(super) fn list(
    conn: &Connection,
    state: Option<RecordState>,
    limit: u32,
) -> rusqlite::Result<Vec<Record>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM outbox WHERE ?1 IS NULL OR state = ?1 ORDER BY n DESC LIMIT ?2"
    ))?
    .query_map(params![state, limit], record)?
    .collect()
}

pub(super) fn counts(conn: &Connection) -> rusqlite::Result<Vec<OutboxCount>> {
    conn.prepare_cached("SELECT sink, state, count(*) FROM outbox GROUP BY sink, state")?
        .query_map([], |row| {
            Ok(OutboxCount {
                sink: row.get(0)?,
                state: row.get(1)?,
                records: row.get::<_, Seq>(2)?.0,
            })
        })?
        .collect()
}

pub(super) struct Again {
    pub(super) which: Replay,
    pub(super) now: i64,
}

impl Write for Again {
    type Answer = u64;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<u64> {
        const DEAD: &str =
            "UPDATE outbox SET state = 0, attempts = 0, due_at = ?1, last_error = NULL WHERE state = 2";
        const ONE: &str =
            "UPDATE outbox SET state = 0, attempts = 0, due_at = ?1, last_error = NULL WHERE id = ?2";
        let conn = batch.conn;
        let rows = match &self.which {
            Replay::Dead => conn.prepare_cached(DEAD)?.execute([self.now])?,
            Replay::Id(id) => conn.prepare_cached(ONE)?.execute(params![self.now, id])?,
        };
        batch.recorded |= rows > 0;
        Ok(rows as u64)
    }
}

/// Removes a bite of what is over its time or too much.
pub(super) struct Trim {
    pub(super) keep: OutboxRetention,
    pub(super) now: i64,
}

impl Write for Trim {
    /// What was removed, and whether there may be more of it.
    type Answer = (OutboxTrimmed, bool);

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<(OutboxTrimmed, bool)> {
        const OLD: &str = "DELETE FROM outbox WHERE n IN
            (SELECT n FROM outbox WHERE state = ?1 AND due_at < ?2 ORDER BY due_at LIMIT ?3)";
        const FIRST: &str = "DELETE FROM outbox WHERE n IN
            (SELECT n FROM outbox WHERE state = ?1 ORDER BY due_at LIMIT ?2)";
        let (conn, keep) = (batch.conn, self.keep);
        let mut removed = OutboxTrimmed::default();
        let mut more = false;
        for (state, kept_ms) in [
            (RecordState::Delivered, keep.delivered_ms),
            (RecordState::Dead, keep.dead_ms),
        ] {
            let before = self.now.saturating_sub(kept_ms);
            let rows = conn.prepare_cached(OLD)?.execute(params![state, before, BITE])?;
            more |= rows == BITE as usize;
            removed.settled += rows as u64;
        }
        // Between the first and the last key lie at least as many numbers as there are records.
        let span = "SELECT coalesce((SELECT max(n) FROM outbox) - (SELECT min(n) FROM outbox) + 1, 0)";
        let most: u64 = conn
            .prepare_cached(span)?
            .query_row([], |row| Ok(row.get::<_, Seq>(0)?.0))?;
        if most <= keep.records {
            return Ok((removed, more));
        }
        let count = "SELECT count(*) FROM outbox";
        let records: u64 = conn
            .prepare_cached(count)?
            .query_row([], |row| Ok(row.get::<_, Seq>(0)?.0))?;
        let mut excess = u32::try_from(records.saturating_sub(keep.records)).unwrap_or(u32::MAX);
        more |= excess > BITE;
        excess = excess.min(BITE);
        for state in [RecordState::Delivered, RecordState::Dead, RecordState::Pending] {
            let rows = conn.prepare_cached(FIRST)?.execute(params![state, excess])?;
            excess = excess.saturating_sub(u32::try_from(rows).unwrap_or(u32::MAX));
            match state {
                RecordState::Pending => removed.pending += rows as u64,
                _ => removed.settled += rows as u64,
            }
        }
        Ok((removed, more))
    }
}
