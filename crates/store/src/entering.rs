//! Values of the call with which a connection enters a room.

use crate::{CatchUp, CaughtUp, Joined, SessionKey, SessionOwner, StoreError, Unread};

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
    /// The page; `None` if the room was deleted meanwhile. The membership stands even if the page could not
    /// be read.
    pub page: Result<Option<CaughtUp>, StoreError>,
}
