//! One task for many deadlines: it sleeps until the earliest is due, and for good while there is none.

use std::{
    future::Future,
    sync::{Arc, Weak},
};

use tokio::sync::Notify;

use crate::clock::Clock;

/// Wakes its task when a deadline comes up that is earlier than the one it sleeps for.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Arc<Notify>);

impl Alarm {
    /// The earliest deadline was `was_next` and is `now_next`: wakes the task if that is earlier.
    pub(crate) fn moved(&self, was_next: Option<i64>, now_next: Option<i64>) {
        if now_next.is_some_and(|now| was_next.is_none_or(|was| now < was)) {
            self.0.notify_one();
        }
    }

    /// Starts the task. It asks `next` for the earliest deadline, calls `tick` with the time when it is due,
    /// and ends when `owner` is dropped.
    pub(crate) fn spawn<T, Tick>(
        &self,
        clock: Arc<dyn Clock>,
        owner: Weak<T>,
        next: impl Fn(&T) -> Option<i64> + Send + 'static,
        tick: impl Fn(Arc<T>, i64) -> Tick + Send + 'static,
    ) where
        T: Send + Sync + 'static,
        Tick: Future<Output = ()> + Send,
    {
        let notify = Arc::clone(&self.0);
        tokio::spawn(async move {
            loop {
                let Some(deadline) = owner.upgrade().map(|owner| next(&owner)) else {
                    return;
                };
                match deadline {
                    None => {
                        notify.notified().await;
                        continue;
                    }
                    Some(at) => tokio::select! {
                        () = clock.sleep_until(at) => {}
                        () = notify.notified() => continue,
                    },
                }
                let Some(owner) = owner.upgrade() else { return };
                tick(owner, clock.now_ms()).await;
            }
        });
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // The owner is dropped: the task has to notice.
        self.0.notify_one();
    }
}
