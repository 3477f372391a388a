//! How a send becomes a delivery: queued, committed together with whatever else waits, delivered in the one order of
//! all entries, then answered.
//!
//! One flight at a time carries the sends of all rooms, so that what a socket gets from several rooms comes in the
//! order of the log, too. While a flight is delivered, the next one is being committed. What lies between the flights of this
//! process is read back in `catching_up`.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock, Weak, atomic::Ordering},
};

use futures_util::future::join;
use indexmap::IndexMap;
use parking_lot::Mutex;
use roomful_socket::Namespace;
use roomful_store::{AppendResult, Appended, LogPosition, Outage, RoomId, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    delivery_budget::DeliveryBudget,
    pending::{PendingWrite, WriteContent},
    position::LogCursor,
};
use crate::{
    app::App,
    clock::Clock,
    cluster::{Cluster, CommittedEntry},
    error::ChatError,
    metrics::Metrics,
    room::{Frame, Room},
    room_manager::{RoomManager, RoomRef},
    unread::UnreadPublisher,
};

/// The most entries that one flight takes.
const BATCH: usize = 1_024;

/// Turns the sends of all rooms into deliveries.
pub(crate) struct Pipeline {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) namespace: Namespace,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rooms: Arc<RoomManager>,
    pub(crate) log: Arc<LogCursor>,
    pub(crate) unread: Arc<UnreadPublisher>,
    /// The other nodes, if there are any.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// Held by whoever goes on in the order: the flight that has landed, or what follows the other nodes.
    pub(crate) delivering: tokio::sync::Mutex<()>,
    /// The chat as a whole, for what other nodes order it to do.
    pub(crate) app: OnceLock<Weak<App>>,
    /// The most sends that may wait in one room.
    pub(crate) room_queue: usize,
    /// The most sends that may wait in all rooms.
    pub(crate) server_queue: u32,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) queue: Mutex<Queue>,
}

/// The sends that wait.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
    /// A task is taking from the queue.
    flying: bool,
}

/// A send on its way into the log.
struct Waiting {
    room: RoomRef,
    pending: PendingWrite,
    /// Its places among its sender's sends and among all sends; given back when it is answered.
    _places: [OwnedSemaphorePermit; 2],
}

/// Sends with what the store made of them.
struct Flight {
    sends: Vec<Waiting>,
    outcome: Result<AppendResult, StoreError>,
}

impl Pipeline {
    /// Puts a send into the queue. Sends of one caller keep their order. `place` is the sender's place among its own
    /// sends; it is given back when the send is answered.
    pub(crate) fn submit(
        self: &Arc<Self>,
        room: RoomRef,
        pending: PendingWrite,
        place: OwnedSemaphorePermit,
    ) {
        let Ok(server_place) = Arc::clone(&self.places).try_acquire_owned() else {
            return pending.reply.fail(&ChatError::Unavailable(
                "the server has too many messages to store, or is going down",
            ));
        };
        if room.queued.fetch_add(1, Ordering::Relaxed) >= self.room_queue {
            room.queued.fetch_sub(1, Ordering::Relaxed);
            let error = ChatError::Unavailable("this room has too many messages to store");
            return pending.reply.fail(&error);
        }
        let mut queue = self.queue.lock();
        queue.waiting.push_back(Waiting {
            room,
            pending,
            _places: [place, server_place],
        });
        if !std::mem::replace(&mut queue.flying, true) {
            drop(queue);
            let pipeline = Arc::clone(self);
            tokio::spawn(
                Flying {
                    pipeline,
                    done: false,
                }
                .run(),
            );
        }
    }

    /// Takes no further sends, and waits until every one that was accepted is answered.
    pub(crate) async fn stop(&self) {
        // An error means that another call has done it all.
        if let Ok(all) = self.places.acquire_many(self.server_queue).await {
            self.places.close();
            all.forget();
        }
    }

    fn take_batch(&self) -> Vec<Waiting> {
        let mut queue = self.queue.lock();
        let count = queue.waiting.len().min(BATCH);
        let batch: Vec<_> = queue.waiting.drain(..count).collect();
        drop(queue);
        for Waiting { room, .. } in &batch {
            room.queued.fetch_sub(1, Ordering::Relaxed);
        }
        batch
    }

    /// Ends the flying, unless a send came meanwhile.
    fn rest(&self) -> bool {
        let mut queue = self.queue.lock();
        let quiet = queue.waiting.is_empty();
        if quiet {
            // A quiet server keeps no queue.
            *queue = Queue::default();
        }
        quiet
    }

    // ---- into the log

    async fn commit(&self, batch: Vec<Waiting>) -> Vec<Flight> {
        let outcome = self.append(&batch).await;
        let several = || {
            batch
                .windows(2)
                .any(|two| matches!(two, [a, b] if a.room.id != b.room.id))
        };
        if !matches!(outcome, Err(StoreError::Internal(_))) || !several() {
            let sends = batch;
            return vec![Flight { sends, outcome }];
        }
        // A room that the store can't write to must not take the others with it.
        let mut rooms: IndexMap<RoomId, Vec<Waiting>> = IndexMap::new();
        for waiting in batch {
            rooms.entry(waiting.room.id).or_default().push(waiting);
        }
        let mut flights = Vec::with_capacity(rooms.len());
        for sends in rooms.into_values() {
            let outcome = self.append(&sends).await;
            flights.push(Flight { sends, outcome });
        }
        flights
    }

    async fn append(&self, sends: &[Waiting]) -> Result<AppendResult, StoreError> {
        let now = self.clock.now_ms();
        let entries = sends.iter().map(|sent| sent.pending.entry(&sent.room, now));
        let placed = self.store.append_with_positions(entries.collect()).await?;
        if let Some(cluster) = &self.cluster {
            self.tell_nodes(cluster, sends, &placed);
        }
        Ok(placed)
    }

    /// At once, though it may take a while until they are delivered here.
    fn tell_nodes(&self, cluster: &Cluster, sends: &[Waiting], placed: &AppendResult) {
        if self.is_superseded() {
            return cluster.ask_store();
        }
        let told = sends.iter().zip(&placed.results).filter_map(|(sent, result)| {
            let Ok(Appended::New { seq, at }) = *result else {
                return None;
            };
            Some(CommittedEntry {
                room: sent.room.id,
                name: sent.room.name.as_str(),
                seq,
                at,
                entry: sent.pending.entry(&sent.room, at),
            })
        });
        let told: Vec<_> = told.collect();
        if !told.is_empty() {
            cluster.tell_committed(&self.log.epoch(), placed.first_position, &told);
            cluster.note_own(placed.first_position, &told);
        }
    }

    // ---- out to the rooms

    /// What is new is delivered, then everybody is answered.
    async fn settle(&self, flights: Vec<Flight>) {
        let _alone = self.alone().await;
        for Flight { sends, outcome } in flights {
            match outcome {
                Ok(placed) => self.deliver_all(sends, placed).await,
                Err(error) => {
                    let error = ChatError::from(error);
                    for sent in sends {
                        sent.pending.reply.fail(&error);
                    }
                    // It may have been committed after all.
                    self.catch_up(self.store.log_head().position).await;
                }
            }
        }
    }

    async fn deliver_all(&self, sends: Vec<Waiting>, placed: AppendResult) {
        if self.cluster.is_some() && self.is_superseded() {
            // The log was restored: all clients are about to be sent away, and what was said is there when they come back.
            return self.answer_all(sends, placed);
        }
        // An append that was answered with an error may have been committed after all.
        self.catch_up(placed.first_position.previous()).await;
        let (mut pos, mut budget) = (placed.first_position, DeliveryBudget::default());
        for (Waiting { room, pending, .. }, result) in sends.iter().zip(&placed.results) {
            if let Ok(Appended::New { seq, at }) = *result {
                let offset = self.log.offset(pos);
                let event = pending.event(room, seq, at);
                let frame = event.frame(room, &self.namespace, offset.as_deref());
                self.deliver(room, pos, seq, frame, &mut budget);
                pos = pos.next();
                if pending.what.is_counted() {
                    self.unread.room_changed(room);
                }
                budget.draw().await;
            }
        }
        self.answer_all(sends, placed);
    }

    /// The log was restored, and is in another order than the one that is delivered here.
    pub(crate) fn is_superseded(&self) -> bool {
        *self.store.log_head().epoch != *self.log.epoch()
    }

    fn answer_all(&self, sends: Vec<Waiting>, placed: AppendResult) {
        for (
            Waiting {
                room,
                pending,
                _places,
            },
            result,
        ) in sends.into_iter().zip(placed.results)
        {
            let is_new_message = matches!(pending.what, WriteContent::Message(_))
                && matches!(result, Ok(Appended::New { .. }));
            self.metrics.messages_in.increment(u64::from(is_new_message));
            pending.answer(&room, result);
        }
    }

    pub(super) fn deliver(
        &self,
        room: &Room,
        pos: LogPosition,
        seq: u64,
        frame: Option<Frame>,
        budget: &mut DeliveryBudget,
    ) {
        budget.spend(frame.as_ref().map_or(0, |frame| frame.event.len()));
        #[cfg(feature = "planted-bugs")]
        let frame = frame.filter(|_| {
            !(roomful_store::planted::is(roomful_store::planted::Bug::SkipDelivery) && seq.is_multiple_of(40))
        });
        let reached = self.log.deliver(pos, || {
            let reached = frame.map(|frame| room.deliver(seq, &frame));
            room.skip_to(seq);
            reached
        });
        self.metrics.messages_out.increment(reached.unwrap_or_default());
    }

    /// Waits until nobody goes on in the order; nobody does while the answer lives.
    pub(crate) async fn alone(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.delivering.lock().await
    }
}

/// The task that takes from the queue. If it should ever die in the midst, the next send starts another.
struct Flying {
    pipeline: Arc<Pipeline>,
    done: bool,
}

impl Flying {
    async fn run(mut self) {
        let mut landed = Vec::new();
        while !self.done {
            let pipeline = &self.pipeline;
            let batch = pipeline.take_batch();
            if !batch.is_empty() {
                // The commit first, so that the store is at work while what it did before is delivered.
                (landed, ()) = join(pipeline.commit(batch), pipeline.settle(landed)).await;
            } else if !landed.is_empty() {
                pipeline.settle(std::mem::take(&mut landed)).await;
            } else {
                self.done = pipeline.rest();
            }
        }
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        // Once done, `flying` belongs to whoever sends next.
        if !self.done {
            self.pipeline.queue.lock().flying = false;
        }
    }
}

impl From<StoreError> for ChatError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(Outage::Fenced) => Self::Unavailable(
                "this node has lost its lease in the cluster, and writes nothing until it has another",
            ),
            StoreError::Unavailable(_) => Self::Unavailable("the server can't reach its store"),
            StoreError::Internal(_) | StoreError::Setup(_) => {
                tracing::error!(%error, "the store failed");
                Self::Internal
            }
        }
    }
}
