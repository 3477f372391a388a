//! Who came, who went, which room emptied: queued here, written to the store's outbox by one task in the order in which
//! it happened. Without an outbox none of this runs.

use std::{collections::HashMap, sync::Arc};

use ::metrics::{Counter, counter};
use parking_lot::Mutex;
use roomful_store::{LifecycleEvent, RoomId, Store, StoreError};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{clock::Clock, presence::server::PresenceServer, types::UserId};

/// Happenings that may wait for the store.
const QUEUE: usize = 65_536;
/// Happenings in one write.
const BATCH: usize = 256;
/// How long the task waits after the store failed, in milliseconds.
const RETRY_MS: i64 = 500;
/// How long a user who was online when the process ended may take to come back before they are told to have gone.
const RETURN_MS: i64 = 15_000;
/// The duty of telling it.
const RETURNING: &str = "returning";
/// Users read at a time.
const PAGE: u32 = 500;

/// The way to the outbox for what is no entry of a log.
pub(crate) struct LifecycleEvents {
    queue: Mutex<Option<mpsc::Sender<LifecycleEvent>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Users who were told to be online before this process began, and have not come back yet.
    returning: Mutex<HashMap<UserId, Option<String>>>,
    dropped: Counter,
}

impl LifecycleEvents {
    /// Starts the writing task, if the store has an outbox.
    pub(crate) fn start(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Self {
        let (queue, writer) = if store.outbox().is_some() {
            let (queue, incoming) = mpsc::channel(QUEUE);
            let writer = tokio::spawn(write(Arc::clone(store), Arc::clone(clock), incoming));
            (Some(queue), Some(writer))
        } else {
            (None, None)
        };
        Self {
            queue: Mutex::new(queue),
            writer: Mutex::new(writer),
            returning: Mutex::default(),
            dropped: counter!("roomful_webhooks_dropped_total", "cause" => "queue_full"),
        }
    }

    pub(crate) fn user_online(&self, user: &UserId, name: Option<&str>, at: i64) {
        // Who was told to be online before a restart and is back has, for others, never been away.
        if self.returning.lock().remove(user).is_some() {
            return;
        }
        self.put(|| LifecycleEvent::UserOnline {
            user: user.to_string(),
            name: name.map(str::to_owned),
            at,
        });
    }

    /// Whether the user may come back after a start, and is told to have gone if not.
    pub(crate) fn awaits(&self, user: &UserId) -> bool {
        self.returning.lock().contains_key(user)
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

    fn put(&self, happening: impl FnOnce() -> LifecycleEvent) {
        let queue = self.queue.lock();
        let Some(queue) = &*queue else { return };
        if queue.try_send(happening()).is_err() {
            self.dropped.increment(1);
        }
    }

    /// Writes what is queued, and takes no more.
    pub(crate) async fn close(&self) {
        self.queue.lock().take();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            // A fault of the task was reported where it happened.
            let _ = writer.await;
        }
    }

    /// Users of an earlier process who do not come back in time are told to have gone.
    pub(crate) async fn await_returning(&self, presence: &PresenceServer) {
        let (store, clock) = (&presence.store, &presence.clock);
        let Some(outbox) = store.outbox() else { return };
        presence.takes_part().await;
        // Where others live on, nobody has to be told of what happened before this one began.
        if !presence.is_on_duty(RETURNING).await {
            return;
        }
        let mut after = String::new();
        loop {
            let page = match outbox.online(&after, PAGE).await {
                Ok(page) => page,
                Err(error) => return tracing::warn!(%error, "who was online before can't be read"),
            };
            let Some(last) = page.last() else { break };
            after.clone_from(&last.user_id);
            let ids: Vec<_> = page.iter().map(|row| row.user_id.clone()).collect();
            let online = presence.online_among(&ids).await.unwrap_or_default();
            let mut returning = self.returning.lock();
            for row in page.into_iter().filter(|row| !online.contains(&row.user_id)) {
                returning.insert(UserId::from(row.user_id), row.name);
            }
        }
        let now = clock.now_ms();
        clock.sleep_until(now.saturating_add(RETURN_MS)).await;
        let gone = std::mem::take(&mut *self.returning.lock());
        let ids: Vec<_> = gone.keys().map(ToString::to_string).collect();
        let online = presence.online_among(&ids).await.unwrap_or_default();
        for (user, name) in gone {
            if !online.contains(&*user) {
                self.user_offline(&user, name.as_deref(), now);
            }
        }
    }
}

/// Ends when the queue is closed and empty, or the store is closed.
async fn write(store: Arc<dyn Store>, clock: Arc<dyn Clock>, mut incoming: mpsc::Receiver<LifecycleEvent>) {
    let mut batch = Vec::with_capacity(BATCH);
    while incoming.recv_many(&mut batch, BATCH).await > 0 {
        loop {
            let Some(outbox) = store.outbox() else { return };
            match outbox.record(batch.clone()).await {
                Ok(()) => break,
                Err(StoreError::Unavailable(roomful_store::Outage::Closed)) => return,
                Err(StoreError::Unavailable(outage)) => {
                    tracing::warn!(%outage, "what happened can't be written to the outbox yet");
                    clock.sleep_until(clock.now_ms().saturating_add(RETRY_MS)).await;
                }
                Err(error) => {
                    tracing::error!(%error, "what happened can't be written to the outbox");
                    break;
                }
            }
        }
        batch.clear();
    }
}
