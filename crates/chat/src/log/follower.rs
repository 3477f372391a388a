//! Going on in the order by what others have written, or what was committed though its answer was lost: as it was told over
//! the bus, or else as the store has it.

use std::sync::{Arc, Weak};

use roomful_socket::Reason;
use roomful_store::{EntryKind, LogEntry, LogPosition, StoreError};
use tokio::time::Instant;

use super::{delivery_budget::DeliveryBudget, pipeline::Pipeline, view::Event};
use crate::{
    cluster::{self, Cluster},
    log::reorder_buffer::Next,
};

/// The places that are read back at a time.
const PAGE: u32 = 200;
/// How long to wait after the store failed to read missed entries, at first and at most, in milliseconds.
const RETRY_MS: std::ops::RangeInclusive<i64> = 50..=2_000;

/// How the store is read.
struct Reading {
    /// The places that are asked for at a time: fewer and fewer, down to one, where one of them can't be read.
    places: u32,
    pause_ms: i64,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            places: PAGE,
            pause_ms: *RETRY_MS.start(),
        }
    }
}

impl Pipeline {
    /// Delivers what other nodes have written, up to the place `upto`.
    pub(crate) async fn follow(&self, upto: LogPosition) {
        let _alone = self.alone().await;
        self.catch_up(upto).await;
    }

    /// Delivers the committed entries up to the place `upto` that were not delivered yet. Returns when that is done: we
    /// wait for the store rather than leave a hole.
    pub(super) async fn catch_up(&self, upto: LogPosition) {
        let mut reading = Reading::default();
        let mut patient_until = None;
        let mut budget = DeliveryBudget::default();
        loop {
            let after = self.log.applied();
            if after >= upto {
                return;
            }
            if let Some(cluster) = &self.cluster {
                if self.deliver_told(cluster, after.next(), &mut budget) {
                    patient_until = None;
                    budget.draw().await;
                    continue;
                }
                let until = *patient_until.get_or_insert_with(|| Instant::now() + cluster::PATIENCE);
                if cluster.be_patient(until).await {
                    continue;
                }
                cluster.count_backfill();
                patient_until = None;
            }
            self.read_back(after, upto, &mut reading, &mut budget).await;
        }
    }

    /// Goes on by what the store has after the place `after`, as far as it can be read.
    async fn read_back(
        &self,
        after: LogPosition,
        upto: LogPosition,
        reading: &mut Reading,
        budget: &mut DeliveryBudget,
    ) {
        let upto = upto.min(after.plus(reading.places.into()));
        match self.store.log_entries(after, upto, reading.places).await {
            Ok(page) => {
                for placed in &page {
                    self.redeliver(placed, budget);
                    budget.draw().await;
                }
                // What retention has removed can't be delivered to anybody any more.
                self.log.deliver(upto, || ());
                self.note_elsewhere(&page);
            }
            Err(error @ (StoreError::Internal(_) | StoreError::Setup(_))) => {
                // It will not pass. What else is there is delivered and obeyed all the same.
                if reading.places > 1 {
                    reading.places /= 2;
                    return;
                }
                tracing::error!(%error, pos = upto.0, "a committed entry can't be read back");
                self.pass_over(upto).await;
                *reading = Reading::default();
            }
            Err(error) => {
                tracing::warn!(%error, "missed entries can't be read back yet");
                let until = self.clock.now_ms().saturating_add(reading.pause_ms);
                self.clock.sleep_until(until).await;
                reading.pause_ms = (reading.pause_ms * 2).min(*RETRY_MS.end());
            }
        }
    }

    /// The entry at a place can't be read. Those whom it concerns are sent away: when they come back, they are told how the
    /// room is now, or that it can't be told.
    async fn pass_over(&self, pos: LogPosition) {
        self.metrics.unreadable.increment(1);
        let room = self.store.room_at(pos).await;
        self.log.deliver(pos, || ());
        match room {
            Ok(None) => {}
            Ok(Some(id))
                if !self
                    .cluster
                    .as_ref()
                    .is_some_and(|cluster| cluster.is_own_room(id)) =>
            {
                let subscribers = self.rooms.get(id).map(|room| room.subscribers(usize::MAX));
                for subscriber in subscribers.unwrap_or_default() {
                    subscriber.socket.close(Reason::ForcedClose);
                }
            }
            // A command to all nodes, or what may be one: at the door everything is looked at anew.
            Ok(Some(_)) | Err(_) => {
                for socket in self.namespace.sockets() {
                    socket.close(Reason::ForcedClose);
                }
            }
        }
    }

    /// Delivers what other nodes told of the place `pos`. False if that is not enough.
    fn deliver_told(&self, cluster: &Cluster, pos: LogPosition, budget: &mut DeliveryBudget) -> bool {
        match cluster.take(pos, &self.rooms) {
            Next::Entry(placed) => self.redeliver(&placed, budget),
            Next::NotServed(room) => {
                if let Some(name) = room.name {
                    self.unread.changed(room.id, &name);
                }
                self.log.deliver(pos, || ());
            }
            Next::Unknown => return false,
        }
        true
    }

    /// Of rooms that nobody here is subscribed to, members may be here all the same.
    fn note_elsewhere(&self, page: &[LogEntry]) {
        if self.cluster.is_none() {
            return;
        }
        let counts = |placed: &&LogEntry| matches!(placed.entry.kind, EntryKind::Message | EntryKind::Delete);
        let mut rooms: Vec<_> = page.iter().filter(counts).map(|placed| placed.room).collect();
        rooms.sort_unstable();
        rooms.dedup();
        rooms.retain(|room| !self.rooms.has(*room));
        let unread = Arc::clone(&self.unread);
        // Beside the deliveries, which must not wait for that.
        tokio::spawn(async move {
            for room in rooms {
                unread.changed_by_id(room).await;
            }
        });
    }

    fn redeliver(&self, placed: &LogEntry, budget: &mut DeliveryBudget) {
        let LogEntry {
            position: pos,
            room,
            entry,
        } = placed;
        if entry.kind == EntryKind::Control {
            if let (Some(cluster), Some(app)) = (&self.cluster, self.app.get().and_then(Weak::upgrade)) {
                cluster::obey(&app, cluster, placed);
            }
            return self.log.deliver(*pos, || ());
        }
        let Some(room) = self.rooms.get(*room) else {
            // Nobody is there to be told.
            return self.log.deliver(*pos, || ());
        };
        // Whatever they are, they are few.
        self.unread.room_changed(&room);
        let offset = self.log.offset(*pos);
        let event = Event::of(&room, entry);
        let frame = event.and_then(|event| event.frame(&room, &self.namespace, offset.as_deref()));
        self.deliver(&room, *pos, entry.seq, frame, budget);
    }
}
