//! A history in the making, shared by many clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Event;

/// Takes down what happens, in the order in which it is told. Clones write into the same history.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    events: Arc<Mutex<Vec<Event>>>,
    clock: Arc<AtomicU64>,
}

impl Recorder {
    /// Takes down one event.
    pub fn record(&self, event: Event) {
        self.events.lock().push(event);
    }

    /// An ordinal greater than any before it, whoever asked for those.
    pub fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Hands over what was taken down since the last time.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock())
    }
}
