//! Saves the delivered mark of each device, many marks in one commit.

use std::sync::{Arc, Weak};

use roomful_socket::Socket;
use roomful_store::DeliveredMark;
use roomful_supervisor::supervise;

use super::server::{NotificationServer, RETRY_MS};
use crate::{metrics::count, notifications::tracker::Device, types::UserId};

/// Marks in one commit.
const MARKS: usize = 512;
/// How often arrivals are checked while notifications are in flight, in milliseconds.
const CHECK_MS: i64 = 2_000;

impl NotificationServer {
    /// Starts the task that saves marks. It ends when this server is dropped.
    pub(crate) fn start_saving(self: &Arc<Self>) {
        let (server, unsaved) = (Arc::downgrade(self), Arc::clone(&self.unsaved));
        let run = move || keep_saving(Weak::clone(&server), Arc::clone(&unsaved));
        supervise("delivered marks", run).detach();
    }

    /// Saves the waiting marks, once no socket adds new ones. Gives up if the store fails.
    pub(crate) async fn drain(&self) {
        self.leaving.close();
        self.leaving.wait().await;
        self.save_marks().await;
    }

    /// Saves the marks that wait. Gives up if the store fails.
    pub(crate) async fn save_marks(&self) {
        while self.save().await == Saved::Some {}
    }

    /// Checks which notifications in flight have arrived.
    fn check_arrivals(&self) {
        let in_flight = self.tracker.lock().in_flight();
        for (user, device) in in_flight {
            self.tracker
                .lock()
                .check_arrivals(&user, &device, Socket::is_delivered);
        }
    }

    /// Saves a batch of marks.
    async fn save(&self) -> Saved {
        let _one_at_a_time = self.saving.lock().await;
        let marks = self.tracker.lock().take_unsaved(MARKS);
        if marks.is_empty() {
            return Saved::None;
        }
        let mark = |(user, device, seq): &(UserId, Device, u64)| DeliveredMark {
            user_id: user.to_string(),
            device: device.to_string(),
            seq: *seq,
        };
        let rows = marks.iter().map(mark).collect();
        let saved = self.store.mark_delivered(rows, self.clock.now_ms()).await;
        let mut tracker = self.tracker.lock();
        let outcome = match saved {
            Ok(()) => {
                tracker.saved(&marks);
                Saved::Some
            }
            Err(error) => {
                tracing::warn!(%error, "failed to save delivered marks, retrying");
                tracker.failed(marks);
                Saved::Failed
            }
        };
        self.waiting_marks.set(count(tracker.unsaved()));
        outcome
    }
}

/// The outcome of saving a batch of marks.
#[derive(Debug, PartialEq, Eq)]
enum Saved {
    /// There was no mark to save.
    None,
    /// There may be more.
    Some,
    /// The store failed.
    Failed,
}

async fn keep_saving(this: Weak<NotificationServer>, unsaved: Arc<tokio::sync::Notify>) {
    let mut pause = *RETRY_MS.start();
    loop {
        let Some(server) = this.upgrade() else { return };
        match server.save().await {
            Saved::Some => pause = *RETRY_MS.start(),
            Saved::None => {
                let clock = Arc::clone(&server.clock);
                let waits = server.tracker.lock().in_flight().is_empty();
                drop(server);
                let look_again = async {
                    if waits {
                        std::future::pending::<()>().await;
                    }
                    clock.sleep(CHECK_MS).await;
                };
                tokio::select! {
                    () = unsaved.notified() => {}
                    () = look_again => if let Some(server) = this.upgrade() { server.check_arrivals() },
                }
            }
            Saved::Failed => {
                let clock = Arc::clone(&server.clock);
                drop(server);
                clock.sleep(pause).await;
                pause = pause.saturating_mul(2).min(*RETRY_MS.end());
            }
        }
    }
}
