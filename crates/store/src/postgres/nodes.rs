//! Nodes: heartbeats, dead nodes, and the sessions and leases that they leave.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio_postgres::Client;

use super::{Shared, answer_timeout::AnswerTimeout, conn::Conn, failure::Failure, value::Columns as _};

/// The condition under which node `n` counts as dead; `$1` is the time limit in seconds.
pub(super) const DEAD: &str = "(n.ended OR n.seen_at < clock_timestamp() - make_interval(secs => $1))";

/// When a connected session `s` of node `n` was last known to be alive.
const LAST_ALIVE: &str = "greatest(n.alive_at, s.created_at)";

/// When session `s` was lost: as recorded, or at the last heartbeat of its dead node `n`; null if it is
/// connected. The latter is computed rather than stored, so that a node that was only cut off still owns
/// its sessions afterwards.
pub(super) fn lost_at() -> String {
    format!("coalesce(s.lost_at, CASE WHEN {DEAD} THEN {LAST_ALIVE} END)")
}

/// Marks the sessions of node `$1` as lost at its last heartbeat.
fn lose_all_of() -> String {
    format!(
        "UPDATE sessions s SET lost_at = {LAST_ALIVE}, owner = 0 FROM nodes n
         WHERE s.node = n.id AND s.lost_at IS NULL AND n.id = $1"
    )
}

/// Marks all sessions of this node as lost.
pub(super) async fn lose_own(conn: &Conn, node: i64) -> Result<(), Failure> {
    conn.run(&lose_all_of(), &[&node]).await?;
    Ok(())
}

/// Number of other live nodes.
pub(super) async fn others(conn: &Conn, node: i64, limit: Duration) -> Result<u64, Failure> {
    let sql = format!("SELECT count(*) FROM nodes n WHERE n.id <> $2 AND NOT {DEAD}");
    let row = conn.row(&sql, &[&limit.as_secs_f64(), &node]).await?;
    row.as_ref().map_or(Ok(0), |row| row.num(0))
}

/// Records the node's heartbeat `at`, by its own clock.
pub(super) async fn alive(conn: &Conn, node: i64, at: i64) -> Result<(), Failure> {
    const ALIVE: &str = "UPDATE nodes SET alive_at = $2, seen_at = clock_timestamp() WHERE id = $1";
    // A node that returns after this time counts as new.
    const OLD: &str = "DELETE FROM nodes n WHERE n.seen_at < clock_timestamp() - interval '90 days'
        AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.node = n.id AND s.lost_at IS NULL)";
    conn.run(ALIVE, &[&node, &at]).await?;
    conn.run(OLD, &[]).await?;
    Ok(())
}

/// Like [`end`], over a connection of the pool.
pub(super) async fn end_over(conn: &Conn, node: i64) -> Result<(), Failure> {
    conn.run_raw(end(conn.client()?, node, conn.answer_timeout()))
        .await
}

/// Ends a node: marks its sessions as lost and releases its leases.
pub(super) async fn end(client: &Client, node: i64, answer_timeout: AnswerTimeout) -> Result<(), Failure> {
    const LEASES: &str = "DELETE FROM sink_leases WHERE node = $1";
    const ENDED: &str = "UPDATE nodes SET ended = true WHERE id = $1";
    for sql in [&*lose_all_of(), LEASES, ENDED] {
        answer_timeout.wait(client.execute(sql, &[&node])).await?;
    }
    Ok(())
}

/// Deletes the row of a node that never served.
pub(super) async fn forget(client: &Client, node: i64, answer_timeout: AnswerTimeout) -> Result<(), Failure> {
    const SQL: &str = "DELETE FROM nodes WHERE id = $1";
    answer_timeout.wait(client.execute(SQL, &[&node])).await.map(drop)
}

/// Sends the node's heartbeats until the store is dropped. A node that pauses for longer than the limit
/// counts as dead until its next heartbeat.
pub(super) async fn send_heartbeats(shared: Weak<Shared>, limit: Duration) {
    let mut ticks = tokio::time::interval(limit / 3);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        if let Err(error) = once(&shared, limit).await {
            tracing::debug!(error = %error.0, "failed to send a heartbeat to the database");
        }
    }
}

async fn once(shared: &Arc<Shared>, limit: Duration) -> Result<(), Failure> {
    const SEEN: &str = "UPDATE nodes SET seen_at = clock_timestamp() WHERE id = $1";
    // An expired lease may belong to another node soon: it is not renewed.
    const LEASES: &str = "UPDATE sink_leases SET until = clock_timestamp() + make_interval(secs => $2)
        WHERE node = $1 AND until > clock_timestamp()";
    let conn = shared.heartbeat_pool.get().await?;
    let node = shared.log_state.node();
    conn.run(SEEN, &[&node]).await?;
    conn.run(LEASES, &[&node, &limit.as_secs_f64()]).await?;
    // A node that appends nothing detects a restore, or a new generation, here.
    shared.log_state.verify_over(&conn).await
}
