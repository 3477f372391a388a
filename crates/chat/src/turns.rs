//! Taking turns: of what waits for the store in between, one at a time for the same thing.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// Locks enough that two things seldom share one; sharing costs a wait, no more.
const LOCKS: usize = 256;

/// The turns of all things of one kind. Its size does not grow with their number.
pub(crate) struct Turns {
    /// Async, since they are held over a wait for the store.
    locks: Vec<Arc<Mutex<()>>>,
    keys: RandomState,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            locks: (0..LOCKS).map(|_| Arc::default()).collect(),
            keys: RandomState::new(),
        }
    }

    /// Waits until it is this thing's turn, which lasts until the answer is dropped.
    pub(crate) async fn take(&self, thing: impl Hash) -> Option<OwnedMutexGuard<()>> {
        let spread = self.keys.hash_one(thing) % LOCKS as u64;
        let lock = usize::try_from(spread).ok().and_then(|at| self.locks.get(at))?;
        Some(Arc::clone(lock).lock_owned().await)
    }
}
