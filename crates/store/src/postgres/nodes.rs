//! The processes that have the store open: which live, and whose sessions and leases are free.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio_postgres::Client;

use super::{Shared, answer_timeout::AnswerTimeout, conn::Conn, failure::Failure, value::Columns as _};

/// The condition under which node `n` is taken for dead, `$1` being its time limit in seconds.
pub(super) const DEAD: &str = "(n.ended OR n.seen_at < clock_timestamp() - make_interval(secs => $1))";

/// A session that a node still has was last known to be alive when its node was, or when it began.
const LAST_ALIVE: &str = "greatest(n.alive_at, s.created_at)";

/// When a session `s` was lost: when its socket said so, or, if its node `n` is dead, when that was last alive; null if it was
/// not. Nothing is written down of it: a node that was only cut off for a while still has its sessions when it is back.
pub(super) fn lost_at() -> String {
    format!("coalesce(s.lost_at, CASE WHEN {DEAD} THEN {LAST_ALIVE} END)")
}

/// Notes that the sessions that the node `$1` still has were lost when it was last alive.
fn lose_all_of() -> String {
    format!(
        "UPDATE sessions s SET lost_at = {LAST_ALIVE}, owner = 0 FROM nodes n
         WHERE s.node = n.id AND s.lost_at IS NULL AND n.id = $1"
    )
}

/// Sessions that this node itself has are lost: none of its connections has one yet.
pub(super) async fn lose_own(conn: &Conn, node: i64) -> Result<(), Failure> {
    conn.run(&lose_all_of(), &[&node]).await?;
    Ok(())
}

/// How many nodes live beside this one.
pub(super) async fn others(conn: &Conn, node: i64, limit: Duration) -> Result<u64, Failure> {
    let sql = format!("SELECT count(*) FROM nodes n WHERE n.id <> $2 AND NOT {DEAD}");
    let row = conn.row(&sql, &[&limit.as_secs_f64(), &node]).await?;
    row.as_ref().map_or(Ok(0), |row| row.num(0))
}

/// The node was alive `at`, by its own clock.
pub(super) async fn alive(conn: &Conn, node: i64, at: i64) -> Result<(), Failure> {
    const ALIVE: &str = "UPDATE nodes SET alive_at = $2, seen_at = clock_timestamp() WHERE id = $1";
    // Whoever comes back later than this is as good as new.
    const OLD: &str = "DELETE FROM nodes n WHERE n.seen_at < clock_timestamp() - interval '90 days'
        AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.node = n.id AND s.lost_at IS NULL)";
    conn.run(ALIVE, &[&node, &at]).await?;
    conn.run(OLD, &[]).await?;
    Ok(())
}

/// A node is over: its sessions are lost, and its leases free.
pub(super) async fn end(client: &Client, node: i64, answer_timeout: AnswerTimeout) -> Result<(), Failure> {
    const LEASES: &str = "DELETE FROM sink_leases WHERE node = $1";
    const ENDED: &str = "UPDATE nodes SET ended = true WHERE id = $1";
    for sql in [&*lose_all_of(), LEASES, ENDED] {
        answer_timeout.wait(client.execute(sql, &[&node])).await?;
    }
    Ok(())
}

/// A node that never served leaves nothing behind.
pub(super) async fn forget(client: &Client, node: i64, answer_timeout: AnswerTimeout) -> Result<(), Failure> {
    const SQL: &str = "DELETE FROM nodes WHERE id = $1";
    answer_timeout.wait(client.execute(SQL, &[&node])).await.map(drop)
}

/// Says from time to time that the node is there, until the store is gone. Whoever stands still for longer than the limit
/// counts as dead until it goes on.
pub(super) async fn beat(shared: Weak<Shared>, limit: Duration) {
    let mut ticks = tokio::time::interval(limit / 3);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        if let Err(error) = once(&shared, limit).await {
            tracing::debug!(error = %error.0, "the store's database can't be told that this node is alive");
        }
    }
}

async fn once(shared: &Arc<Shared>, limit: Duration) -> Result<(), Failure> {
    const SEEN: &str = "UPDATE nodes SET seen_at = clock_timestamp() WHERE id = $1";
    // A lease that has run out meanwhile may be taken by another: it is not made longer.
    const LEASES: &str = "UPDATE sink_leases SET until = clock_timestamp() + make_interval(secs => $2)
        WHERE node = $1 AND until > clock_timestamp()";
    let conn = shared.heartbeat_pool.get().await?;
    let node = shared.log_state.node();
    conn.run(SEEN, &[&node]).await?;
    conn.run(LEASES, &[&node, &limit.as_secs_f64()]).await?;
    // Also a node that appends nothing learns within a beat that the log was put back, or began anew.
    conn.verify(&shared.log_state).await
}
