//! The events of a history: operations with their outcomes, deliveries, marks, and the log as read back.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// The name of a room, a user, a device or an epoch. Shared, since a history repeats it often.
pub type Name = Arc<str>;

/// A digest of an entry: user, kind and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Content(u64);

impl Content {
    /// A message.
    pub fn message(user: &str, client_id: &str, text: &str) -> Self {
        Self::of("message", user, &[client_id, text], 0)
    }

    /// An edit of the message `target`.
    pub fn edit(user: &str, target: u64, text: &str) -> Self {
        Self::of("edit", user, &[text], target)
    }

    /// The deletion of the message `target`.
    pub fn delete(user: &str, target: u64) -> Self {
        Self::of("delete", user, &[], target)
    }

    /// A reaction to the message `target`, or its removal.
    pub fn reaction(user: &str, target: u64, emoji: &str, removed: bool) -> Self {
        Self::of(if removed { "unreact" } else { "react" }, user, &[emoji], target)
    }

    fn of(kind: &str, user: &str, said: &[&str], target: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        (kind, user, said, target).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The server acknowledged it.
    Ok(T),
    /// The server refused it with this code.
    Failed(Name),
    /// No answer: the connection was lost, or the time limit passed.
    Unknown,
}

/// An event. Events of one device are in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// One attempt to send a message.
    Sent(Sent),
    /// One attempt to edit, delete or react.
    Changed(Changed),
    /// A device subscribes to a room, or does so again.
    Joined(Joined),
    /// A device reads the page after that of its join.
    Page(Page),
    /// A device receives an entry live.
    Delivered {
        /// Which device.
        device: Name,
        /// In which room.
        room: Name,
        /// What.
        seen: Seen,
    },
    /// A device's subscription ends.
    Ended {
        /// Which device.
        device: Name,
        /// In which room.
        room: Name,
    },
    /// An answer shows the user's own mark.
    Marked(Mark),
    /// An event reports that a user's mark has grown.
    MarkReported(MarkEvent),
    /// A notification is posted and acknowledged.
    Posted {
        /// Its id.
        id: Name,
        /// For whom.
        users: Vec<Name>,
    },
    /// A device has a new connection.
    Connected {
        /// Which device.
        device: Name,
        /// Whose.
        user: Name,
    },
    /// A device receives a notification.
    Notified {
        /// Which device.
        device: Name,
        /// Which notification.
        id: Name,
    },
}

/// One attempt to send a message.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Where to.
    pub room: Name,
    /// Who.
    pub user: Name,
    /// The client's own id for it; attempts with the same one are retries.
    pub client_id: Name,
    /// What.
    pub content: Content,
    /// How it ended.
    pub outcome: Outcome<Stored>,
}

/// An acknowledged entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence number.
    pub seq: u64,
    /// The server says that it is a duplicate.
    pub duplicate: bool,
}

/// One attempt to edit, delete or react.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Where.
    pub room: Name,
    /// Who.
    pub user: Name,
    /// The client's own id for it; attempts with the same one are retries.
    pub client_id: Name,
    /// What.
    pub content: Content,
    /// The outcome, without an entry if there was nothing to change.
    pub outcome: Outcome<Option<Stored>>,
}

/// An entry as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its sequence number.
    pub seq: u64,
    /// Its content; `None` if the page shows only the result of later edits.
    pub content: Option<Content>,
}

/// The answer to a join.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Which device.
    pub device: Name,
    /// Which room.
    pub room: Name,
    /// The log's epoch.
    pub epoch: Name,
    /// The last entry that the client has of this epoch.
    pub since: Option<u64>,
    /// The head of the log; live deliveries start after it.
    pub head: u64,
    /// The server does not guarantee completeness.
    pub reset: bool,
    /// The page does not reach the head.
    pub more: bool,
    /// The page.
    pub entries: Vec<Seen>,
}

/// A page that continues the page of a join.
#[derive(Clone, Debug)]
pub struct Page {
    /// Which device.
    pub device: Name,
    /// Which room.
    pub room: Name,
    /// There is more behind it.
    pub more: bool,
    /// The page.
    pub entries: Vec<Seen>,
}

/// Which of the two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the product's")]
pub enum MarkKind {
    Read,
    Delivered,
}

/// A user's own mark, as an answer showed it. The ordinals come from
/// [`Recorder::tick`](super::Recorder::tick).
#[derive(Clone, Debug)]
pub struct Mark {
    /// Where.
    pub room: Name,
    /// Whose.
    pub user: Name,
    /// Which mark.
    pub kind: MarkKind,
    /// The time before the question.
    pub begun: u64,
    /// The time after the answer.
    pub ended: u64,
    /// The mark.
    pub seq: u64,
}

/// An event that reports the growth of a user's mark.
#[derive(Clone, Debug)]
pub struct MarkEvent {
    /// The device that receives it.
    pub device: Name,
    /// Where.
    pub room: Name,
    /// Whose mark.
    pub user: Name,
    /// Which mark.
    pub kind: MarkKind,
    /// The reported mark.
    pub seq: u64,
}

/// A room's log after `after`, read back while no operation is in flight.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Which room.
    pub room: Name,
    /// The log's epoch.
    pub epoch: Name,
    /// The entry before the first one read; 0 for the whole log.
    pub after: u64,
    /// The entries.
    pub entries: Vec<Logged>,
}

/// An entry of the log as read back.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its sequence number.
    pub seq: u64,
    /// Its kind and content.
    pub what: What,
}

/// The content of one log entry.
#[derive(Clone, Debug)]
pub enum What {
    /// A message.
    Message {
        /// Whose.
        user: Name,
        /// Its client's id for it.
        client_id: Option<Name>,
        /// Its content; `None` after an edit or deletion.
        content: Option<Content>,
    },
    /// An edit, a deletion or a reaction; `None` if the log no longer has its content.
    Change(Option<Content>),
}
