//! Pauses between deliveries, in which connections write what they were given.
//!
//! A whole batch of sends, or all that a node missed, could be delivered in one go: then the outbox of a client that reads as
//! fast as it can runs over before its connection has had a turn, and the client is closed as a slow consumer. What has
//! to be slow for that is the client, not we.

/// Frames and bytes after which others have a turn: a fraction of an outbox, since a turn may not be enough.
const FRAMES: usize = 128;
const BYTES: usize = 32 * 1024;

/// What was delivered since others had a turn.
#[derive(Debug, Default)]
pub(crate) struct DeliveryBudget {
    frames: usize,
    bytes: usize,
}

impl DeliveryBudget {
    /// A frame was delivered to whoever is in its room.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes;
    }

    /// Lets others have their turn, if it is time for that. However slow a client is, it costs no more than that.
    pub(crate) async fn draw(&mut self) {
        if self.frames >= FRAMES || self.bytes >= BYTES {
            *self = Self::default();
            tokio::task::yield_now().await;
        }
    }
}
