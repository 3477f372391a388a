//! Lifecycle events for the outbox: users come online and go offline, rooms empty. Queued here, and written
//! by one task in the order in which they happened. A store without an outbox gets none.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ::metrics::{Counter, counter};
use parking_lot::Mutex;
use roomful_store::{LifecycleEvent, RoomId, Store, StoreError};
use roomful_supervisor::{Supervised, supervise};
use tokio::sync::mpsc;

use super::online_users::OnlineUsers;
use crate::{clock::Clock, types::UserId};

/// Events that may wait for the store.
const QUEUE: usize = 65_536;
/// Events in one write.
const BATCH: usize = 256;
/// The pause after the store failed, in milliseconds.
const RETRY_MS: i64 = 500;
/// How long users who were online when the process ended have to come back before they are reported offline.
const RETURN_MS: i64 = 15_000;
/// The duty of reporting them.
const RETURNING: &str = "returning";
/// Users read at a time.
const PAGE: u32 = 500;

/// The queue of lifecycle events.
pub(crate) struct LifecycleEvents {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// `None` without an outbox, and after the end.
    queue: Mutex<Option<mpsc::Sender<LifecycleEvent>>>,
    writer: Mutex<Option<Supervised>>,
    /// Users who were reported online before this process began, and have not come back yet.
    returning: Mutex<HashMap<UserId, Option<String>>>,
    dropped: Counter,
}

impl LifecycleEvents {
    /// Starts the writing task, if the store has an outbox.
    pub(crate) fn start(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Self {
        let (queue, writer) = if store.outbox().is_some() {
            let (queue, incoming) = mpsc::channel(QUEUE);
            let incoming = Arc::new(tokio::sync::Mutex::new(incoming));
            let (store, clock) = (Arc::clone(store), Arc::clone(clock));
            let writer = supervise("lifecycle events", move || {
                write(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&incoming))
            });
            (Some(queue), Some(writer))
        } else {
            (None, None)
        };
        Self {
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            queue: Mutex::new(queue),
            writer: Mutex::new(writer),
            returning: Mutex::default(),
            dropped: counter!("roomful_webhooks_dropped_total", "cause" => "queue_full"),
        }
    }

    pub(crate) fn user_online(&self, user: &UserId, name: Option<&str>, at: i64) {
        // A user whom the outbox has as online since before a restart has never been away.
        if self.returning.lock().remove(user).is_some() {
            return;
        }
        self.put(|| LifecycleEvent::UserOnline {
            user: user.to_string(),
            name: name.map(str::to_owned),
            at,
        });
    }

    pub(crate) fn user_offline(&self, user: &UserId, name: Option<&str>, at: i64) {
        self.put(|| LifecycleEvent::UserOffline {
            user: user.to_string(),
            name: name.map(str::to_owned),
            at,
        });
    }

    pub(crate) fn room_emptied(&self, room: RoomId, at: i64) {
        self.put(|| LifecycleEvent::RoomEmptied { room, at });
    }

    /// Whether the user was online before this process began and has time left to come back.
    pub(crate) fn is_returning(&self, user: &UserId) -> bool {
        self.returning.lock().contains_key(user)
    }

    fn put(&self, event: impl FnOnce() -> LifecycleEvent) {
        let queue = self.queue.lock();
        let Some(queue) = &*queue else { return };
        if queue.try_send(event()).is_err() {
            self.dropped.increment(1);
        }
    }

    /// Writes the queued events, and accepts no more.
    pub(crate) async fn close(&self) {
        self.queue.lock().take();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            writer.ended().await;
        }
    }

    /// Reports users offline who were online when an earlier process ended and do not come back in time.
    pub(crate) async fn report_lost_users(&self, users: &dyn OnlineUsers) {
        let Some(outbox) = self.store.outbox() else { return };
        users.lease_held().await;
        // Where other nodes have been running all the time, they have reported it.
        if !users.is_leader_for(RETURNING).await {
            return;
        }
        let mut after = String::new();
        loop {
            let page = match outbox.online(&after, PAGE).await {
                Ok(page) => page,
                Err(error) => return tracing::warn!(%error, "failed to read the users from before the start"),
            };
            let Some(last) = page.last() else { break };
            after.clone_from(&last.user_id);
            let ids: Vec<_> = page.iter().map(|row| row.user_id.clone()).collect();
            let online = self.confirmed_online(users, &ids).await;
            let mut returning = self.returning.lock();
            for row in page.into_iter().filter(|row| !online.contains(&row.user_id)) {
                returning.insert(UserId::from(row.user_id), row.name);
            }
        }
        let now = self.clock.now_ms();
        self.clock.sleep(RETURN_MS).await;
        let ids: Vec<_> = self.returning.lock().keys().map(ToString::to_string).collect();
        let online = self.confirmed_online(users, &ids).await;
        // Users who returned during the wait are no longer in the map.
        let lost = std::mem::take(&mut *self.returning.lock());
        for (user, name) in lost {
            if !online.contains(&*user) {
                self.user_offline(&user, name.as_deref(), now);
            }
        }
    }

    /// Those of the users who are online on any node. Waits while the registry is unreachable or incomplete:
    /// a missing answer must not count as offline.
    async fn confirmed_online(&self, users: &dyn OnlineUsers, ids: &[String]) -> HashSet<String> {
        let mut is_logged = false;
        loop {
            match users.confirmed_online(ids).await {
                Ok(Some(online)) => return online,
                Ok(None) => {}
                Err(error) if is_logged => {
                    tracing::debug!(%error, "failed to read the online users, retrying");
                }
                Err(error) => {
                    is_logged = true;
                    tracing::warn!(%error, "failed to read the online users, no reports until then");
                }
            }
            self.clock.sleep(RETRY_MS).await;
        }
    }
}

/// Writes events until the queue is closed and empty, or the store is closed.
async fn write(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    incoming: Arc<tokio::sync::Mutex<mpsc::Receiver<LifecycleEvent>>>,
) {
    let mut incoming = incoming.lock().await;
    let mut batch = Vec::with_capacity(BATCH);
    while incoming.recv_many(&mut batch, BATCH).await > 0 {
        loop {
            let Some(outbox) = store.outbox() else { return };
            match outbox.record(batch.clone()).await {
                Ok(()) => break,
                Err(StoreError::Unavailable(roomful_store::Outage::Closed)) => return,
                Err(StoreError::Unavailable(outage)) => {
                    tracing::warn!(%outage, "failed to write lifecycle events to the outbox, retrying");
                    clock.sleep(RETRY_MS).await;
                }
                Err(error) => {
                    tracing::error!(%error, "failed to write lifecycle events to the outbox, dropping them");
                    break;
                }
            }
        }
        batch.clear();
    }
}
