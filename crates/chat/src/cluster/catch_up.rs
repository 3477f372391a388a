//! Going on in the order of all entries, whoever wrote them.

use std::sync::{Arc, Weak};

use rand::RngExt as _;
use roomful_socket::Reason;
use roomful_store::LogHead;

use super::{Cluster, lease};
use crate::{app::App, error::ChatError, room::Room};

/// Follows the order until the chat is gone.
pub(crate) fn start(app: &Arc<App>, cluster: &Arc<Cluster>) {
    cluster.listen(app);
    app.store.fence(cluster.terms());
    tokio::spawn(follow(Arc::downgrade(app), Arc::clone(cluster)));
    tokio::spawn(lease::keep(Arc::downgrade(app), Arc::clone(cluster)));
    tokio::spawn(poll(Arc::downgrade(app), Arc::clone(cluster)));
}

/// Delivers what others have written as soon as it is told.
async fn follow(app: Weak<App>, cluster: Arc<Cluster>) {
    loop {
        cluster.told.notified().await;
        let Some(app) = app.upgrade() else { return };
        let upto = cluster.reorder_buffer.lock().newest();
        app.pipeline.follow(upto).await;
    }
}

/// This node goes on in the order to where the store stands now. `None` if the store failed, or the log began anew.
pub(crate) async fn come_up(app: &App) -> Option<()> {
    let Some(cluster) = &app.cluster else {
        return Some(());
    };
    let now = app.store.read_log_head().await.ok()?;
    if *now.epoch != *app.log.epoch() {
        return None;
    }
    cluster.heard_of(now.position);
    app.pipeline.follow(now.position).await;
    Some(())
}

/// A client names the entry `seq` of a room. If this node has not come to it, another one may have been ahead when the client
/// saw it: then this one goes on first.
///
/// # Errors
/// `unavailable` if the store can't be asked.
pub(crate) async fn reach(app: &App, room: &Room, seq: u64) -> Result<(), ChatError> {
    if seq <= room.head() {
        return Ok(());
    }
    let behind = ChatError::Unavailable("this server is behind the others and can't catch up now; try again");
    come_up(app).await.ok_or(behind)
}

/// Asks the store once in a while how far the order has come: the bus may have lost the last that was told.
async fn poll(owner: Weak<App>, cluster: Arc<Cluster>) {
    loop {
        let Some(app) = owner.upgrade() else { return };
        if let Err(error) = cluster.control_room(&app).await {
            tracing::warn!(%error, "the cluster's own room can't be opened yet");
        }
        match app.store.read_log_head().await {
            Ok(at) if *at.epoch != *app.log.epoch() => begin_anew(&app, &cluster, at).await,
            Ok(at) => cluster.heard_of(at.position),
            Err(error) => tracing::warn!(%error, "the store can't be asked how far the log has come"),
        }
        drop(app);
        // Not all nodes at the same time.
        let wait = cluster.config.poll.mul_f64(rand::rng().random_range(0.75..1.25));
        // Whether it is time or a gap was noticed: the store is asked.
        let _ = tokio::time::timeout(wait, cluster.gap.notified()).await;
    }
}

/// The log was restored from a backup: what clients know of it is void. They are sent away, and told when they come back.
async fn begin_anew(app: &App, cluster: &Cluster, at: LogHead) {
    let _alone = app.pipeline.alone().await;
    tracing::warn!(
        epoch = at.epoch,
        "the log was restored: all clients have to come back and begin anew"
    );
    app.rooms.forget_all();
    app.log.reset(at);
    // After that, no word of the old order is taken any more.
    cluster.reorder_buffer.lock().clear();
    cluster.newest.clear();
    cluster.forget_control_room();
    for socket in app.namespace.sockets() {
        socket.close(Reason::ForcedClose);
    }
}
