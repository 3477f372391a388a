//! The trait `Bus`: publishing to topics and subscribing to them.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::{BusError, Membership};

/// One node's client of the bus.
#[async_trait]
pub trait Bus: Membership + Send + Sync + 'static {
    /// Sends a message to every other client that subscribes to the topic, never to this one.
    ///
    /// Returns at once. The bus drops and counts the message if its queue is full or the bus is
    /// unreachable. Messages of one client on one topic usually arrive in order.
    fn publish(&self, topic: &str, message: Bytes);

    /// Passes messages of the topic to the listener until the subscription is dropped. A topic may have
    /// several listeners.
    fn subscribe(&self, topic: &str, listener: Arc<dyn BusListener>) -> Subscription;

    /// Pings the bus.
    async fn check(&self) -> Result<(), BusError>;

    /// Sends the queued messages and ends the connection. Afterwards the client drops all messages, calls
    /// no listener, and answers [`BusError::Unavailable`] to every membership call.
    async fn close(&self);
}

/// A listener to topics. The bus calls it from its own task, one message after another: it must return
/// quickly.
pub trait BusListener: Send + Sync + 'static {
    /// Takes a message.
    fn message(&self, topic: &str, message: Bytes);

    /// The connection was lost, and messages of this topic may be missing. The subscription is in effect
    /// again.
    fn gap(&self, topic: &str);
}

/// A subscription to a topic. Dropping it unsubscribes.
pub struct Subscription {
    confirmed: watch::Receiver<bool>,
    unsubscribe: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Subscription {
    /// For implementations of [`Bus`]: `confirmed` turns true when the subscription takes effect, and
    /// `unsubscribe` ends it.
    pub fn new(confirmed: watch::Receiver<bool>, unsubscribe: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self {
            confirmed,
            unsubscribe: Some(Box::new(unsubscribe)),
        }
    }

    /// Waits until the bus confirms the subscription. Waits for as long as the bus is unreachable;
    /// returns when it closes.
    pub async fn confirmed(&self) {
        // The sender goes away when the bus closes. No confirmation will come then, so there is nothing
        // to wait for.
        let _ = self.confirmed.clone().wait_for(|confirmed| *confirmed).await;
    }

    /// True once the bus has confirmed the subscription.
    pub fn is_confirmed(&self) -> bool {
        *self.confirmed.borrow()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(unsubscribe) = self.unsubscribe.take() {
            unsubscribe();
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("confirmed", &self.is_confirmed())
            .finish_non_exhaustive()
    }
}
