//! The one order in which this process delivers the entries of all rooms: that of their commits.
//!
//! A client that comes back names a single place in it, and has then seen everything before that place in all its
//! rooms, and nothing after. So each socket gets entries in this order only, whichever rooms they are of.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLock};
use roomful_store::{LogHead, LogPosition};

/// How far the order was applied.
pub(crate) struct LogCursor {
    /// Changes only when a cluster's store was restored from a backup.
    epoch: RwLock<Arc<str>>,
    /// Held while an entry is applied, and while a socket is put into rooms: each socket gets an entry whole, in all
    /// its rooms, or not at all. Never held over an await. Room locks are taken under it, never the other way.
    applied: Mutex<LogPosition>,
    /// Whether clients are told where they stand.
    offsets: bool,
}

impl LogCursor {
    pub(crate) fn starting(at: LogHead, offsets: bool) -> Self {
        Self {
            epoch: RwLock::new(at.epoch.into()),
            applied: Mutex::new(at.position),
            offsets,
        }
    }

    /// Places can only be compared within one epoch.
    pub(crate) fn epoch(&self) -> Arc<str> {
        Arc::clone(&self.epoch.read())
    }

    /// The log was restored: from here on another order counts.
    pub(crate) fn reset(&self, at: LogHead) {
        let mut applied = self.applied.lock();
        *self.epoch.write() = at.epoch.into();
        *applied = at.position;
    }

    /// The place of the newest entry that was applied.
    pub(crate) fn applied(&self) -> LogPosition {
        *self.applied.lock()
    }

    /// Nothing is applied while this is held.
    pub(crate) fn pause(&self) -> MutexGuard<'_, LogPosition> {
        self.applied.lock()
    }

    /// Delivers the entry at `pos`.
    pub(crate) fn deliver<T>(&self, pos: LogPosition, deliver: impl FnOnce() -> T) -> T {
        let mut applied = self.applied.lock();
        let done = deliver();
        *applied = pos.max(*applied);
        done
    }

    /// What a client is told with the entry at `pos`; `None` if clients are told nothing.
    pub(crate) fn offset(&self, pos: LogPosition) -> Option<String> {
        self.offsets.then(|| format!("{}.{pos}", self.epoch.read()))
    }

    /// The place that a client names; `None` if it is none of this order, or has not come yet.
    pub(crate) fn place(&self, offset: &str) -> Option<LogPosition> {
        let (epoch, pos) = offset.split_once('.')?;
        let pos = LogPosition(pos.parse().ok()?);
        (epoch == &**self.epoch.read() && pos <= self.applied()).then_some(pos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_good_in_its_own_order_only() {
        let at = LogHead {
            epoch: "0123abcd".into(),
            position: LogPosition(7),
        };
        let order = LogCursor::starting(at, true);
        order.deliver(LogPosition(8), || ());
        assert_eq!(
            order
                .offset(LogPosition(8))
                .and_then(|offset| order.place(&offset)),
            Some(LogPosition(8))
        );
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
