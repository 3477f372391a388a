//! Deadlines: an ordered set of (time, key), without clock or task.

use std::collections::BTreeSet;

/// Keys with a time each, earliest first. A key has one time at most, which its owner remembers.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    set: BTreeSet<(i64, K)>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { set: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Deadlines<K> {
    /// Adds `key`, due at `at` in milliseconds.
    pub(crate) fn set(&mut self, at: i64, key: K) {
        self.set.insert((at, key));
    }

    /// Removes what [`Deadlines::set`] added.
    pub(crate) fn clear(&mut self, at: i64, key: &K) {
        self.set.remove(&(at, key.clone()));
    }

    /// The earliest time.
    pub(crate) fn next(&self) -> Option<i64> {
        self.set.first().map(|(at, _)| *at)
    }

    /// Removes and returns the earliest key that is due at `now`, with its time.
    pub(crate) fn pop_due(&mut self, now: i64) -> Option<(i64, K)> {
        (self.next()? <= now).then(|| self.set.pop_first()).flatten()
    }
}
