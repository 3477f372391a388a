//! Asks the store at intervals how far the log is, since the bus may lose the announcement of a commit.

use std::sync::Arc;

use rand::RngExt as _;

use super::Cluster;

/// Polls until the node is gone.
pub(super) async fn run(cluster: Arc<Cluster>) {
    while cluster.events.strong_count() > 0 {
        if let Err(error) = cluster.open_control_room().await {
            tracing::warn!(%error, "failed to open the control room, retrying");
        }
        match cluster.store.read_log_head().await {
            Ok(at) if *at.epoch != *cluster.cursor.epoch() => cluster.inbox.restore(at),
            Ok(at) => cluster.inbox.observe_log_end(&at.epoch, at.position),
            Err(error) => tracing::warn!(%error, "failed to read the position of the log, retrying"),
        }
        // The jitter keeps the nodes from asking at the same time.
        let wait = cluster.config.poll.mul_f64(rand::rng().random_range(0.75..1.25));
        let _ = tokio::time::timeout(wait, cluster.inbox.poll_asked()).await;
    }
}
