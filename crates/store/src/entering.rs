//! Values of the calls with which a connection enters rooms or catches up on them.

use crate::{History, Joined, Page, Range, RoomId, SessionKey, SessionOwner, StoreError, Unread};

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

/// A connection that enters a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnterRoom {
    /// The user.
    pub user_id: String,
    /// The time.
    pub at: i64,
    /// Whether a user's first membership of the room begins with everything read.
    pub starts_read: bool,
    /// The session to subscribe to the entries after [`CatchUp::upto`], and its owner.
    pub session: Option<(SessionKey, SessionOwner)>,
    /// The room, and what the client wants of its log.
    pub catch_up: CatchUp,
}

/// The answer to an [`EnterRoom`].
#[derive(Debug)]
pub struct Entered {
    /// The membership, with the marks of its user.
    pub joined: Joined,
    /// The user's unread messages.
    pub unread: Unread,
    /// False if the session was to be subscribed, and the owner no longer owns it.
    pub subscribed: bool,
    /// The page; `None` if the room was deleted meanwhile. The membership stands even if the page could not be
    /// read.
    pub page: Result<Option<CaughtUp>, StoreError>,
}

/// The outcome of subscribing a session to several rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribed {
    /// The session is subscribed to all of them.
    All,
    /// To none: the owner no longer owns the session.
    NotOwner,
    /// To none: the user is no longer a member of one of them.
    NotMember,
}
