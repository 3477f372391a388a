//! Pauses between deliveries, in which connections write their queued frames.
//!
//! Without pauses, a whole batch would overflow the outbox of a client that reads as fast as it can, before
//! its connection has had a chance to write: the client would be closed as a slow consumer.

/// Frames and bytes after which the follower yields: a fraction of an outbox, since one pause may not be
/// enough.
const FRAMES: usize = 128;
const BYTES: usize = 32 * 1024;

/// The deliveries since the last pause.
#[derive(Debug, Default)]
pub(super) struct DeliveryBudget {
    frames: usize,
    bytes: usize,
}

impl DeliveryBudget {
    /// Counts a frame that goes to a room.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes;
    }

    /// Yields once to other tasks if the budget is spent. A slow client delays the others no further.
    pub(super) async fn yield_if_spent(&mut self) {
        if self.frames >= FRAMES || self.bytes >= BYTES {
            *self = Self::default();
            tokio::task::yield_now().await;
        }
    }
}
