//! How a send becomes a delivery: queued in its room, committed together with whatever else waits, delivered in seq
//! order, then answered. One flush at a time per room, so that a room's order is that of its log.

use std::sync::Arc;

use roomful_socket::Namespace;
use roomful_store::{Appended, Page, Range, Rejected, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Delivery, Frame, Room,
    pending::{Pending, What},
    view::Event,
};
use crate::{
    clock::Clock, error::ChatError, metrics::Metrics, room_manager::RoomRef, unread_board::UnreadBoard,
};

/// The most entries that one append takes from a room.
const BATCH: usize = 256;
/// The page in which missed entries are read back.
const CATCH_UP_PAGE: u32 = 200;
/// How long a room waits after the store failed to read missed entries, at first and at most, in milliseconds.
const RETRY_MS: std::ops::RangeInclusive<i64> = 50..=2_000;

/// What all rooms need to turn sends into deliveries.
pub(crate) struct Pipeline {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) namespace: Namespace,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) unread: Arc<UnreadBoard>,
    /// The most sends that may wait in one room.
    pub(crate) room_queue: usize,
    /// The most sends that may wait in all rooms.
    pub(crate) server_queue: u32,
    pub(crate) places: Arc<Semaphore>,
}

/// A send that is being committed.
pub(super) struct InFlight {
    pending: Pending,
    /// Its places among its sender's sends and among all sends; given back when it is answered.
    _places: [OwnedSemaphorePermit; 2],
}

impl Pipeline {
    /// Puts a send into its room's queue. Sends of one caller keep their order. `place` is the sender's place among
    /// its own sends; it is given back when the send is answered.
    pub(crate) fn submit(self: &Arc<Self>, room: &RoomRef, pending: Pending, place: OwnedSemaphorePermit) {
        let Ok(server_place) = Arc::clone(&self.places).try_acquire_owned() else {
            return pending.reply.fail(&ChatError::Unavailable(
                "the server has too many messages to store, or is going down",
            ));
        };
        let in_flight = InFlight {
            pending,
            _places: [place, server_place],
        };
        let mut state = room.state.lock();
        if state.queue.len() >= self.room_queue {
            drop(state);
            let error = ChatError::Unavailable("this room has too many messages to store");
            return in_flight.pending.reply.fail(&error);
        }
        state.queue.push_back(in_flight);
        if !std::mem::replace(&mut state.flushing, true) {
            drop(state);
            tokio::spawn(Arc::clone(self).flush(Flush {
                room: room.clone(),
                done: false,
            }));
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

    async fn flush(self: Arc<Self>, mut flush: Flush) {
        let room = &flush.room;
        while let Some(batch) = room.take_batch() {
            let entries = batch
                .iter()
                .map(|sent| sent.pending.entry(room, self.clock.now_ms()))
                .collect();
            match self.store.append(entries).await {
                Ok(results) => self.settle(room, batch, results).await,
                Err(error) => {
                    let error = ChatError::from(error);
                    for sent in batch {
                        sent.pending.reply.fail(&error);
                    }
                }
            }
        }
        flush.done = true;
    }

    /// The batch is committed: what is new in it is delivered, then everybody is answered.
    async fn settle(&self, room: &RoomRef, batch: Vec<InFlight>, results: Vec<Result<Appended, Rejected>>) {
        let mut answers = Vec::with_capacity(batch.len());
        for (sent, result) in batch.into_iter().zip(results) {
            if let Ok(Appended::New { seq, at }) = result {
                let frame = sent.pending.event(room, seq, at).frame(room, &self.namespace);
                self.deliver(room, seq, frame).await;
                if sent.pending.what.is_counted() {
                    self.unread.room_changed(room);
                }
            }
            answers.push((sent, result));
        }
        for (InFlight { pending, _places }, result) in answers {
            let is_new_message =
                matches!(pending.what, What::Message(_)) && matches!(result, Ok(Appended::New { .. }));
            self.metrics.messages_in.increment(u64::from(is_new_message));
            pending.answer(room, result);
        }
    }

    async fn deliver(&self, room: &RoomRef, seq: u64, frame: Option<Frame>) {
        #[cfg(feature = "planted-bugs")]
        if roomful_store::planted::is(roomful_store::planted::Bug::SkipDelivery) && seq.is_multiple_of(40) {
            return room.skip_to(seq);
        }
        loop {
            let Some(frame) = &frame else {
                return room.skip_to(seq);
            };
            let (delivery, sent) = room.deliver(seq, frame);
            self.metrics.messages_out.increment(sent);
            match delivery {
                Delivery::Done | Delivery::Old => return,
                // An append that was answered with an error may have been committed after all.
                Delivery::Gap { after } => self.catch_up(room, after, seq - 1).await,
            }
        }
    }

    /// Delivers the committed entries after `after` up to `upto`. Returns when that is done: a room waits for its
    /// store rather than leave a hole.
    async fn catch_up(&self, room: &RoomRef, after: u64, upto: u64) {
        // Whatever they are, they are few.
        self.unread.room_changed(room);
        let mut after = after;
        let mut pause = *RETRY_MS.start();
        while after < upto {
            let page = Page {
                range: Range::After { seq: after, upto },
                limit: CATCH_UP_PAGE,
            };
            match self.store.history(room.id, page).await {
                Ok(Some(page)) if !page.entries.is_empty() => {
                    // What retention has removed can't be delivered to anybody any more.
                    room.skip_to(page.first.saturating_sub(1));
                    for entry in &page.entries {
                        let event = Event::of(room, entry);
                        if let Some(frame) = event.and_then(|event| event.frame(room, &self.namespace)) {
                            self.metrics
                                .messages_out
                                .increment(room.deliver(entry.seq, &frame).1);
                        }
                        room.skip_to(entry.seq);
                        after = entry.seq;
                    }
                }
                Ok(_) => {
                    room.skip_to(upto);
                    after = upto;
                }
                Err(error) => {
                    tracing::warn!(room = room.id, %error, "missed entries can't be read back yet");
                    self.clock
                        .sleep_until(self.clock.now_ms().saturating_add(pause))
                        .await;
                    pause = (pause * 2).min(*RETRY_MS.end());
                }
            }
        }
    }
}

impl Room {
    /// The next sends to commit. `None` ends the flush.
    fn take_batch(&self) -> Option<Vec<InFlight>> {
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            // A quiet room keeps no queue.
            state.queue = std::collections::VecDeque::new();
            state.flushing = false;
            return None;
        }
        let count = state.queue.len().min(BATCH);
        Some(state.queue.drain(..count).collect())
    }
}

/// A flush under way. If it should ever die in the midst, the room's next send starts another.
struct Flush {
    room: RoomRef,
    done: bool,
}

impl Drop for Flush {
    fn drop(&mut self) {
        // Once done, `flushing` belongs to whoever sends next.
        if !self.done {
            self.room.state.lock().flushing = false;
        }
    }
}

impl From<StoreError> for ChatError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable("the server can't reach its store"),
            StoreError::Internal(_) | StoreError::Setup(_) => {
                tracing::error!(%error, "the store failed");
                Self::Internal
            }
        }
    }
}
