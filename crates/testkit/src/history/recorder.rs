//! The recorder of a history, shared by many clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Event;

/// Records events in the order of the calls. Clones write to the same history.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    events: Arc<Mutex<Vec<Event>>>,
    clock: Arc<AtomicU64>,
}

impl Recorder {
    /// Records one event.
    pub fn record(&self, event: Event) {
        self.events.lock().push(event);
    }

    /// A number greater than all that any clone has returned before.
    pub fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Takes the events recorded since the last call.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock())
    }
}
