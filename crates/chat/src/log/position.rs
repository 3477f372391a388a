//! How far this node has applied the log: the position up to which its clients have every entry of their
//! rooms.
//!
//! All rooms together have one order, that of the commits. A client that comes back names one position and
//! has seen every entry up to it and none after, so each socket gets the entries of all its rooms in this
//! order.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLock};
use roomful_store::{LogHead, LogPosition};

/// The format of offsets.
const OFFSET_VERSION: &str = "1";

/// The last applied position of the log.
pub(crate) struct LogCursor {
    /// Changes only when the store of a cluster is restored from a backup.
    epoch: RwLock<Arc<str>>,
    /// Locked while an entry is delivered, and while a socket is added to rooms: each socket gets an entry in
    /// all its rooms or in none. Never held over an await. Lock order: this one, then the rooms.
    applied: Mutex<LogPosition>,
    /// Whether clients get offsets.
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

    /// The lifetime of the log. Positions of two epochs can't be compared.
    pub(crate) fn epoch(&self) -> Arc<str> {
        Arc::clone(&self.epoch.read())
    }

    /// The log was restored from a backup and continues at `at`, in another epoch.
    pub(super) fn restore(&self, at: LogHead) {
        let mut applied = self.applied.lock();
        *self.epoch.write() = at.epoch.into();
        *applied = at.position;
    }

    /// The last applied position.
    pub(crate) fn applied(&self) -> LogPosition {
        *self.applied.lock()
    }

    /// Nothing is applied as long as the guard lives. It holds the last applied position.
    pub(crate) fn pause(&self) -> MutexGuard<'_, LogPosition> {
        self.applied.lock()
    }

    /// Delivers the entry at `position`.
    pub(super) fn apply<T>(&self, position: LogPosition, deliver: impl FnOnce() -> T) -> T {
        let mut applied = self.applied.lock();
        let delivered = deliver();
        *applied = position.max(*applied);
        delivered
    }

    /// Nothing up to `position` is to be delivered.
    pub(super) fn skip_to(&self, position: LogPosition) {
        self.apply(position, || ());
    }

    /// The offset that clients get with the entry at `position`: an opaque, versioned text. `None` if clients
    /// get no offsets.
    pub(crate) fn offset(&self, position: LogPosition) -> Option<String> {
        self.offsets
            .then(|| format!("{OFFSET_VERSION}.{}.{position}", self.epoch.read()))
    }

    /// The position of an offset. `None` if it is malformed, of another epoch, or not applied yet.
    pub(crate) fn parse_offset(&self, offset: &str) -> Option<LogPosition> {
        let (version, offset) = offset.split_once('.')?;
        let (epoch, position) = offset.split_once('.')?;
        let position = LogPosition(position.parse().ok()?);
        let is_ours = version == OFFSET_VERSION && epoch == &**self.epoch.read();
        (is_ours && position <= self.applied()).then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_valid_in_its_epoch_up_to_the_last_applied_position() {
        let at = LogHead {
            epoch: "0123abcd".into(),
            position: LogPosition(7),
        };
        let cursor = LogCursor::starting(at, true);
        cursor.skip_to(LogPosition(8));
        let offset = cursor.offset(LogPosition(8)).unwrap_or_default();
        assert_eq!(
            (offset.as_str(), cursor.parse_offset(&offset)),
            ("1.0123abcd.8", Some(LogPosition(8)))
        );
        for offset in [
            "1.0123abcd.9",
            "1.0123abce.8",
            "1.0123abcd.-1",
            "1.0123abcd.x",
            "2.0123abcd.8",
            "0123abcd.8",
            "8",
            "",
            ".",
            "1.0123abcd.",
        ] {
            assert_eq!(cursor.parse_offset(offset), None, "{offset}");
        }
    }
}
