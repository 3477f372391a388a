//! Topics: what is published on one reaches the other nodes that are subscribed to it, unless it is lost.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::{BusError, Roster};

/// One node's end of the bus.
#[async_trait]
pub trait Bus: Roster + Send + Sync + 'static {
    /// Sends a message to all other ends that are subscribed to the topic; never back to this one. Does not wait: if too
    /// much waits to be sent, or the bus can't be reached, the message is dropped and counted. Messages of one end on one
    /// topic usually come in order.
    fn publish(&self, topic: &str, message: Bytes);

    /// Hears the topic until the subscription is dropped. Several listeners of one end may hear one topic.
    fn subscribe(&self, topic: &str, listener: Arc<dyn Listener>) -> Subscription;

    /// Asks the bus for a sign of life.
    async fn check(&self) -> Result<(), BusError>;

    /// Sends what waits, and ends the connection. What is published later is dropped, nothing is heard any more, and the
    /// roster is unavailable to this end.
    async fn close(&self);
}

/// Who hears a topic. Called on the bus's own task, one message after the other: must neither block nor take long.
pub trait Listener: Send + Sync + 'static {
    /// A message came.
    fn message(&self, topic: &str, message: Bytes);

    /// Messages on this topic may have been lost, since the connection was; it is heard again from now on.
    fn gap(&self, topic: &str);
}

/// A topic that is heard. Dropped, it is no longer.
pub struct Subscription {
    heard: watch::Receiver<bool>,
    end: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Subscription {
    /// For those who implement [`Bus`]: `heard` turns true once the subscription is in effect, and `end` ends it.
    pub fn new(heard: watch::Receiver<bool>, end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self {
            heard,
            end: Some(Box::new(end)),
        }
    }

    /// Waits until what is published is heard. While the bus can't be reached, that is not so: whoever can't wait for
    /// ever sets a bound.
    pub async fn heard(&self) {
        // An end of the sender is an end of the bus: nothing will be heard any more, and waiting helps nobody.
        let _ = self.heard.clone().wait_for(|heard| *heard).await;
    }

    /// Whether it was in effect once.
    pub fn is_heard(&self) -> bool {
        *self.heard.borrow()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("heard", &self.is_heard())
            .finish_non_exhaustive()
    }
}
