//! What falls due when: an ordered set of (time, key). It knows no clock and no task; its owner asks it.

use std::collections::BTreeSet;

/// Keys with a time each, earliest first. A key may stand under one time only; its owner remembers which.
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
    /// Notes that `key` falls due at `at` (ms).
    pub(crate) fn set(&mut self, at: i64, key: K) {
        self.set.insert((at, key));
    }

    /// Takes back what [`Deadlines::set`] noted.
    pub(crate) fn clear(&mut self, at: i64, key: &K) {
        self.set.remove(&(at, key.clone()));
    }

    /// The earliest time noted.
    pub(crate) fn next(&self) -> Option<i64> {
        self.set.first().map(|(at, _)| *at)
    }

    /// Takes out the earliest key that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: i64) -> Option<(i64, K)> {
        (self.next()? <= now).then(|| self.set.pop_first()).flatten()
    }
}
