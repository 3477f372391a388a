//! A bounded queue from async callers to a thread or task, which can be closed while callers wait.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{Outage, StoreError};

pub(crate) struct Queue<T> {
    /// `None` once closed. Locked for the length of a clone, never across an await.
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

    /// Queues an item. Waits for space, for as long as the queue was made to wait.
    pub(crate) async fn push(&self, item: T) -> Result<(), StoreError> {
        let sender = self.sender.lock().clone().ok_or(Outage::Closed)?;
        within(self.wait, sender.send(item)).await?.map_err(|_| stopped())
    }

    /// Refuses new items. The thread ends after the queued ones.
    pub(crate) fn close(&self) {
        self.sender.lock().take();
    }
}

/// Waits for space in a queue, or fails with [`Outage::Busy`].
pub(crate) async fn within<F: Future>(wait: Duration, space: F) -> Result<F::Output, StoreError> {
    timeout(wait, space).await.map_err(|_| Outage::Busy.into())
}

/// Waits for the answer to a queued item.
pub(crate) async fn answer<T>(reply: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    reply.await.unwrap_or_else(|_| Err(stopped()))
}

/// Only a panic ends a thread before its queue is closed.
fn stopped() -> StoreError {
    StoreError::Internal("one of its threads ended; restart the server".into())
}
