//! The one order in which this process delivers the entries of all rooms: that of their commits.
//!
//! A client that comes back names a single place in it, and has then seen everything before that place in all its
//! rooms, and nothing after. So each socket gets entries in this order only, whichever rooms they are of.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLock};
use roomful_store::LogPosition;

/// How far the order was delivered.
pub(crate) struct Order {
    /// Changes only when a cluster's store was restored from a backup.
    epoch: RwLock<Arc<str>>,
    /// Held while an entry is delivered, and while a socket is put into rooms: each socket gets an entry whole, in all
    /// its rooms, or not at all. Never held over an await. Room locks are taken under it, never the other way.
    delivered: Mutex<u64>,
    /// Whether clients are told where they stand.
    offsets: bool,
}

impl Order {
    pub(crate) fn starting(at: LogPosition, offsets: bool) -> Self {
        Self {
            epoch: RwLock::new(at.epoch.into()),
            delivered: Mutex::new(at.pos),
            offsets,
        }
    }

    /// Places can only be compared within one epoch.
    pub(crate) fn epoch(&self) -> Arc<str> {
        Arc::clone(&self.epoch.read())
    }

    /// The log was restored: from here on another order counts.
    pub(crate) fn begin_anew(&self, at: LogPosition) {
        let mut delivered = self.delivered.lock();
        *self.epoch.write() = at.epoch.into();
        *delivered = at.pos;
    }

    /// The place of the newest entry that was delivered.
    pub(crate) fn delivered(&self) -> u64 {
        *self.delivered.lock()
    }

    /// Nothing is delivered while this is held.
    pub(crate) fn stand_still(&self) -> MutexGuard<'_, u64> {
        self.delivered.lock()
    }

    /// Delivers the entry at `pos`.
    pub(crate) fn deliver<T>(&self, pos: u64, deliver: impl FnOnce() -> T) -> T {
        let mut delivered = self.delivered.lock();
        let done = deliver();
        *delivered = pos.max(*delivered);
        done
    }

    /// What a client is told with the entry at `pos`; `None` if clients are told nothing.
    pub(crate) fn offset(&self, pos: u64) -> Option<String> {
        self.offsets.then(|| format!("{}.{pos}", self.epoch.read()))
    }

    /// The place that a client names; `None` if it is none of this order, or has not come yet.
    pub(crate) fn place(&self, offset: &str) -> Option<u64> {
        let (epoch, pos) = offset.split_once('.')?;
        let pos = pos.parse().ok()?;
        (epoch == &**self.epoch.read() && pos <= self.delivered()).then_some(pos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_good_in_its_own_order_only() {
        let at = LogPosition {
            epoch: "0123abcd".into(),
            pos: 7,
        };
        let order = Order::starting(at, true);
        order.deliver(8, || ());
        assert_eq!(order.offset(8).and_then(|offset| order.place(&offset)), Some(8));
        for offset in [
            "0123abcd.9",
            "0123abce.8",
            "0123abcd.-1",
            "0123abcd.x",
            "8",
            "",
            ".",
            "0123abcd.",
        ] {
            assert_eq!(order.place(offset), None, "{offset}");
        }
    }
}
