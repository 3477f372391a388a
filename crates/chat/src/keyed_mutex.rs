//! Async locks by key: one holder at a time for each key.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, Hash, RandomState},
};

use tokio::sync::{Mutex, MutexGuard};

/// A fixed set of async locks that keys are hashed to. Two keys may share a lock, which costs a wait and
/// nothing else. A task that needs the locks of several keys takes them by [`KeyedMutex::lock_all`].
///
/// The locks are async since their holders wait for the store.
pub(crate) struct KeyedMutex {
    locks: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl KeyedMutex {
    /// `locks` bounds how many keys can be locked at the same time; at least 1.
    pub(crate) fn new(locks: usize) -> Self {
        Self {
            locks: (0..locks.max(1)).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Waits until no other task holds the lock of `key`.
    pub(crate) async fn lock(&self, key: impl Hash) -> MutexGuard<'_, ()> {
        self.locks[self.index(key)].lock().await
    }

    /// Waits until no other task holds the lock of any of the keys.
    pub(crate) async fn lock_all<K: Hash>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Vec<MutexGuard<'_, ()>> {
        // Each lock once, and in one order for all tasks, so that none waits for itself or in a circle.
        let indexes: BTreeSet<_> = keys.into_iter().map(|key| self.index(key)).collect();
        let mut guards = Vec::with_capacity(indexes.len());
        for index in indexes {
            guards.push(self.locks[index].lock().await);
        }
        guards
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "the remainder is below the number of locks, a usize"
    )]
    fn index(&self, key: impl Hash) -> usize {
        (self.hasher.hash_one(key) % self.locks.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_has_one_holder_at_a_time() {
        let mutex = KeyedMutex::new(4_096);
        let held = mutex.lock("a").await;
        let mut again = Box::pin(mutex.lock("a"));
        assert!(futures_util::poll!(again.as_mut()).is_pending());
        drop(held);
        let _held = again.await;
    }

    #[tokio::test]
    async fn several_keys_have_one_holder_even_if_they_share_a_lock() {
        let mutex = KeyedMutex::new(2);
        let held = mutex.lock_all(["a", "b", "c"]).await;
        let mut again = Box::pin(mutex.lock("b"));
        assert!(futures_util::poll!(again.as_mut()).is_pending());
        drop(held);
        let _held = again.await;
    }

    #[tokio::test]
    async fn keys_without_a_common_lock_do_not_wait_for_each_other() {
        let mutex = KeyedMutex::new(4_096);
        let other = (0..100)
            .find(|key| mutex.index(key) != mutex.index("a"))
            .unwrap_or(0);
        let _held = mutex.lock("a").await;
        let _other = mutex.lock(other).await;
    }
}
