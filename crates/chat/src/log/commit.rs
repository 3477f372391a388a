//! A commit of this node: the writes that the store has accepted or rejected together.

use std::sync::Arc;

use roomful_store::{Appended, Rejected};
use tokio::sync::OwnedSemaphorePermit;

use super::pending::{PendingWrite, WriteContent};
use crate::{metrics::Metrics, room_manager::RoomRef};

/// A write on its way into the log.
pub(super) struct QueuedWrite {
    pub(super) room: RoomRef,
    pub(super) write: PendingWrite,
    /// Its permits among its sender's writes and among all writes, returned when it is answered.
    pub(super) _permits: [OwnedSemaphorePermit; 2],
}

/// Writes with what the store made of each.
pub(crate) struct Commit {
    pub(super) writes: Vec<QueuedWrite>,
    pub(super) results: Vec<Result<Appended, Rejected>>,
}

impl Commit {
    /// How many of the writes have become entries, and so have a position.
    pub(super) fn new_entries(&self) -> u64 {
        let new = self
            .results
            .iter()
            .filter(|result| matches!(result, Ok(Appended::New { .. })));
        new.count() as u64
    }

    /// Answers all writes.
    pub(super) fn answer(self, metrics: &Arc<Metrics>) {
        for (queued, result) in self.writes.into_iter().zip(self.results) {
            let QueuedWrite {
                room,
                write,
                _permits,
            } = queued;
            let is_new_message = matches!(write.content, WriteContent::Message(_))
                && matches!(result, Ok(Appended::New { .. }));
            metrics.messages_in.increment(u64::from(is_new_message));
            write.answer(&room, result);
        }
    }
}
