//! The appender: queues writes, commits them in batches and hands the commits over to the follower.
//!
//! One commit at a time carries the writes of all rooms, so that the log has them in the order in which they
//! were queued. While the follower applies one batch, the store commits the next.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use indexmap::IndexMap;
use parking_lot::Mutex;
use roomful_store::{AppendResult, Appended, NewEntry, RoomId, Store, StoreError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{
    commit::{Commit, QueuedWrite},
    follower::Follower,
    inbox::EntryInbox,
    pending::PendingWrite,
    position::LogCursor,
};
use crate::{
    clock::Clock,
    cluster::{Cluster, CommittedEntry},
    config::ChatConfig,
    error::ChatError,
    room_manager::RoomRef,
};

/// The most entries of one commit.
const BATCH: usize = 1_024;

/// Turns the writes of all rooms into commits.
pub(crate) struct Appender {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    cursor: Arc<LogCursor>,
    inbox: Arc<EntryInbox>,
    follower: Arc<Follower>,
    /// The other nodes, if there are any.
    cluster: Option<Arc<Cluster>>,
    /// The most writes that may wait in one room.
    room_queue: usize,
    /// The most writes that may wait in all rooms, and their permits.
    server_queue: u32,
    permits: Arc<Semaphore>,
    queue: Mutex<VecDeque<QueuedWrite>>,
    queued: Notify,
}

/// The parts that an [`Appender`] works with.
pub(crate) struct AppenderParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cursor: Arc<LogCursor>,
    pub(crate) inbox: Arc<EntryInbox>,
    pub(crate) follower: Arc<Follower>,
    pub(crate) cluster: Option<Arc<Cluster>>,
}

impl Appender {
    pub(crate) fn new(parts: AppenderParts, config: &ChatConfig) -> Self {
        let AppenderParts {
            store,
            clock,
            cursor,
            inbox,
            follower,
            cluster,
        } = parts;
        Self {
            store,
            clock,
            cursor,
            inbox,
            follower,
            cluster,
            room_queue: config.room_queue,
            server_queue: config.server_queue,
            permits: Arc::new(Semaphore::new(config.server_queue as usize)),
            queue: Mutex::default(),
            queued: Notify::new(),
        }
    }

    /// Queues a write. The writes of one caller keep their order. `permit` is the sender's permit among its
    /// own writes; it is returned when the write is answered.
    ///
    /// Answers `unavailable` if the queue of the room or of the server is full, or the server shuts down.
    pub(crate) fn submit(&self, room: RoomRef, write: PendingWrite, permit: OwnedSemaphorePermit) {
        let Ok(server_permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return write.reply.fail(&ChatError::Unavailable(
                "the server has too many messages to store, or shuts down",
            ));
        };
        if room.queued.fetch_add(1, Ordering::Relaxed) >= self.room_queue {
            room.queued.fetch_sub(1, Ordering::Relaxed);
            let error = ChatError::Unavailable("this room has too many messages to store");
            return write.reply.fail(&error);
        }
        self.queue.lock().push_back(QueuedWrite {
            room,
            write,
            _permits: [permit, server_permit],
        });
        self.queued.notify_one();
    }

    /// Accepts no further writes, and waits until all accepted ones are answered.
    pub(crate) async fn stop(&self) {
        // An error means that another call has done it.
        if let Ok(all) = self.permits.acquire_many(self.server_queue).await {
            self.permits.close();
            all.forget();
        }
    }

    /// Commits the queued writes, for ever.
    pub(super) async fn run(&self) {
        loop {
            let batch = self.take_batch();
            if batch.is_empty() {
                self.queued.notified().await;
                continue;
            }
            for (writes, outcome) in self.commit(batch).await {
                // The commits must not run ahead of the follower, or many small ones would take the place of
                // few large ones.
                self.follower.ready_for_commit().await;
                self.hand_over(writes, outcome);
            }
        }
    }

    fn take_batch(&self) -> Vec<QueuedWrite> {
        let mut queue = self.queue.lock();
        let count = queue.len().min(BATCH);
        let batch: Vec<_> = queue.drain(..count).collect();
        if batch.is_empty() {
            // An idle server keeps no memory for its queue.
            *queue = VecDeque::new();
        }
        drop(queue);
        for QueuedWrite { room, .. } in &batch {
            room.queued.fetch_sub(1, Ordering::Relaxed);
        }
        batch
    }

    /// Commits a batch. If the store fails to write one of its rooms, commits it room by room, so that only
    /// that room fails.
    async fn commit(
        &self,
        batch: Vec<QueuedWrite>,
    ) -> Vec<(Vec<QueuedWrite>, Result<AppendResult, StoreError>)> {
        let outcome = self.append(&batch).await;
        let one_room = batch.windows(2).all(|two| two[0].room.id == two[1].room.id);
        if one_room || !matches!(outcome, Err(StoreError::Internal(_))) {
            return vec![(batch, outcome)];
        }
        let mut rooms: IndexMap<RoomId, Vec<QueuedWrite>> = IndexMap::new();
        for write in batch {
            rooms.entry(write.room.id).or_default().push(write);
        }
        let mut outcomes = Vec::with_capacity(rooms.len());
        for writes in rooms.into_values() {
            let outcome = self.append(&writes).await;
            outcomes.push((writes, outcome));
        }
        outcomes
    }

    async fn append(&self, writes: &[QueuedWrite]) -> Result<AppendResult, StoreError> {
        let now = self.clock.now_ms();
        let entries = writes.iter().map(|queued| queued.write.entry(&queued.room, now));
        let appended = self.store.append_with_positions(entries.collect()).await?;
        if let Some(cluster) = &self.cluster {
            self.publish(cluster, writes, &appended);
        }
        Ok(appended)
    }

    /// Publishes a commit to the other nodes, before this node applies it.
    fn publish(&self, cluster: &Cluster, writes: &[QueuedWrite], appended: &AppendResult) {
        let epoch = self.store.log_head().epoch;
        if *epoch != *self.cursor.epoch() {
            return self.inbox.poll_now();
        }
        let new = writes
            .iter()
            .zip(&appended.results)
            .filter_map(|(queued, result)| {
                let Ok(Appended::New { seq, at }) = *result else {
                    return None;
                };
                let entry: NewEntry = queued.write.entry(&queued.room, at);
                Some(CommittedEntry {
                    room: queued.room.id,
                    name: queued.room.name.as_str(),
                    seq,
                    at,
                    entry,
                })
            });
        let new: Vec<_> = new.collect();
        if !new.is_empty() {
            cluster.publish_commit(&epoch, appended.first_position, &new);
        }
    }

    fn hand_over(&self, writes: Vec<QueuedWrite>, outcome: Result<AppendResult, StoreError>) {
        let at = self.store.log_head();
        match outcome {
            Ok(appended) => {
                let commit = Commit {
                    writes,
                    results: appended.results,
                };
                self.follower
                    .take_commit(&at.epoch, appended.first_position, commit);
            }
            Err(error) => {
                let error = ChatError::from(error);
                for QueuedWrite { write, .. } in writes {
                    write.reply.fail(&error);
                }
                // The store may have committed it nevertheless.
                self.inbox.observe_log_end(&at.epoch, at.position);
            }
        }
    }
}
