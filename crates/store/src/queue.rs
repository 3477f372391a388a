//! A bounded queue from async callers to a thread, which can be closed while calls are under way.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{Outage, StoreError};

pub(crate) struct Queue<T> {
    /// `None` once closed. Held for the length of a clone, never over an await.
    sender: Mutex<Option<mpsc::Sender<T>>>,
    wait: Duration,
}

impl<T: Send> Queue<T> {
    pub(crate) fn new(bound: usize, wait: Duration) -> (Self, mpsc::Receiver<T>) {
        let (sender, receiver) = mpsc::channel(bound);
        (
            Self {
                sender: Mutex::new(Some(sender)),
                wait,
            },
            receiver,
        )
    }

    /// Hands an item to the thread; waits for a place, but not for ever.
    pub(crate) async fn push(&self, item: T) -> Result<(), StoreError> {
        let sender = self.sender.lock().clone().ok_or(Outage::Closed)?;
        within(self.wait, sender.send(item)).await?.map_err(|_| stopped())
    }

    /// Refuses new items. The thread ends after the queued ones.
    pub(crate) fn close(&self) {
        self.sender.lock().take();
    }
}

/// Waits for a place in a queue.
pub(crate) async fn within<F: Future>(wait: Duration, place: F) -> Result<F::Output, StoreError> {
    timeout(wait, place).await.map_err(|_| Outage::Busy.into())
}

/// Waits for the thread's answer.
pub(crate) async fn answer<T>(reply: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    reply.await.unwrap_or_else(|_| Err(stopped()))
}

/// Only a panic ends a thread before its queue is closed.
fn stopped() -> StoreError {
    StoreError::Internal("one of its threads has ended; restart the server".into())
}
