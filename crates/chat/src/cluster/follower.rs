//! Going on in the order of all entries, whoever wrote them.

use std::sync::{Arc, Weak};

use rand::RngExt as _;
use roomful_socket::Reason;
use roomful_store::LogHead;

use super::{Cluster, lease};
use crate::{error::ChatError, room::Room, servers::chat::Chat};

/// Follows the order until the chat is gone.
pub(crate) fn start(chat: &Arc<Chat>, cluster: &Arc<Cluster>) {
    cluster.listen(chat);
    chat.store.fence(cluster.terms());
    tokio::spawn(follow(Arc::downgrade(chat), Arc::clone(cluster)));
    tokio::spawn(lease::keep(Arc::downgrade(chat), Arc::clone(cluster)));
    tokio::spawn(poll(Arc::downgrade(chat), Arc::clone(cluster)));
}

/// Delivers what others have written as soon as it is told.
async fn follow(chat: Weak<Chat>, cluster: Arc<Cluster>) {
    loop {
        cluster.told.notified().await;
        let Some(chat) = chat.upgrade() else { return };
        let upto = cluster.upcoming.lock().newest();
        chat.pipeline.follow(upto).await;
    }
}

/// This node goes on in the order to where the store stands now. `None` if the store failed, or the log began anew.
pub(crate) async fn come_up(chat: &Chat) -> Option<()> {
    let Some(cluster) = &chat.cluster else {
        return Some(());
    };
    let now = chat.store.read_log_head().await.ok()?;
    if *now.epoch != *chat.order.epoch() {
        return None;
    }
    cluster.heard_of(now.position);
    chat.pipeline.follow(now.position).await;
    Some(())
}

/// A client names the entry `seq` of a room. If this node has not come to it, another one may have been ahead when the client
/// saw it: then this one goes on first.
///
/// # Errors
/// `unavailable` if the store can't be asked.
pub(crate) async fn reach(chat: &Chat, room: &Room, seq: u64) -> Result<(), ChatError> {
    if seq <= room.head() {
        return Ok(());
    }
    let behind = ChatError::Unavailable("this server is behind the others and can't catch up now; try again");
    come_up(chat).await.ok_or(behind)
}

/// Asks the store once in a while how far the order has come: the bus may have lost the last that was told.
async fn poll(owner: Weak<Chat>, cluster: Arc<Cluster>) {
    loop {
        let Some(chat) = owner.upgrade() else { return };
        if let Err(error) = cluster.control_room(&chat).await {
            tracing::warn!(%error, "the cluster's own room can't be opened yet");
        }
        match chat.store.read_log_head().await {
            Ok(at) if *at.epoch != *chat.order.epoch() => begin_anew(&chat, &cluster, at).await,
            Ok(at) => cluster.heard_of(at.position),
            Err(error) => tracing::warn!(%error, "the store can't be asked how far the log has come"),
        }
        drop(chat);
        // Not all nodes at the same time.
        let wait = cluster.config.poll.mul_f64(rand::rng().random_range(0.75..1.25));
        // Whether it is time or a gap was noticed: the store is asked.
        let _ = tokio::time::timeout(wait, cluster.gap.notified()).await;
    }
}

/// The log was restored from a backup: what clients know of it is void. They are sent away, and told when they come back.
async fn begin_anew(chat: &Chat, cluster: &Cluster, at: LogHead) {
    let _alone = chat.pipeline.alone().await;
    tracing::warn!(
        epoch = at.epoch,
        "the log was restored: all clients have to come back and begin anew"
    );
    chat.rooms.forget_all();
    chat.order.begin_anew(at);
    // After that, no word of the old order is taken any more.
    cluster.upcoming.lock().clear();
    cluster.newest.clear();
    cluster.forget_control_room();
    for socket in chat.namespace.sockets() {
        socket.close(Reason::ForcedClose);
    }
}
