//! The tasks of this process that keep panicking.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

/// A task that has panicked several times in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingTask {
    /// Its name.
    pub task: &'static str,
    /// The message of its last panic.
    pub cause: String,
}

static FAILING: Mutex<BTreeMap<u64, FailingTask>> = Mutex::new(BTreeMap::new());

/// The tasks of this process that keep panicking, oldest first. Empty in a healthy process.
pub fn failing() -> Vec<FailingTask> {
    FAILING.lock().values().cloned().collect()
}

/// A supervised task's entry in the list. Dropping it removes the entry.
pub(crate) struct Entry(u64);

impl Entry {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn set(&self, failing: FailingTask) {
        FAILING.lock().insert(self.0, failing);
    }

    pub(crate) fn clear(&self) {
        FAILING.lock().remove(&self.0);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.clear();
    }
}
