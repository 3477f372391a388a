//! What a client has of a room's log, and the page with which it catches up.

use crate::{History, Page, Range, RoomId};

/// What a client wants of a room's log: the entries after the last one it has, if all of them are kept, and
/// the newest messages otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchUp {
    /// The room.
    pub room: RoomId,
    /// The last entry that the client has; `None` if it has none of this log.
    pub since: Option<u64>,
    /// The newest entry wanted, inclusive.
    pub upto: u64,
    /// Maximum number of entries.
    pub limit: u32,
}

impl CatchUp {
    /// The page that continues what the client has.
    pub(crate) fn following(&self) -> Option<Page> {
        let upto = self.upto;
        let seq = self.since.filter(|since| *since <= upto)?;
        let range = Range::After { seq, upto };
        Some(Page {
            range,
            limit: self.limit,
        })
    }

    /// The page for a client that starts over.
    pub(crate) fn newest(&self) -> Page {
        Page {
            range: Range::Last { upto: self.upto },
            limit: self.limit,
        }
    }

    /// Whether a page continues what the client has: retention may have removed the next entries.
    pub(crate) fn continues(&self, page: &History) -> bool {
        self.since.is_some_and(|since| since + 1 >= page.first)
    }
}

/// The answer to a [`CatchUp`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaughtUp {
    /// The range that was read: [`Range::After`] or [`Range::Last`].
    pub range: Range,
    /// The page.
    pub history: History,
}
