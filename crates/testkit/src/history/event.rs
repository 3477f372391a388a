//! The vocabulary of a history: operations with their outcome, deliveries, marks, and the log as it was read back.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// The name of a room, a user, a device or an epoch: shared, because a history says it often.
pub type Name = Arc<str>;

/// What an entry of a room's log says, as a digest: who, which kind, and all that they said. Equal contents are equal.
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
    /// The connection went, or patience ended, before an answer came.
    Unknown,
}

/// What happened. Events of one device are recorded in the order in which they happened to it.
#[derive(Clone, Debug)]
pub enum Event {
    /// One attempt to send a message.
    Sent(Sent),
    /// One attempt to edit, delete or react.
    Changed(Changed),
    /// A device's subscription to a room begins, or begins anew.
    Joined(Joined),
    /// A device reads on where the page of its join ended.
    Page(Page),
    /// A device was sent an entry live.
    Delivered {
        /// Which device.
        device: Name,
        /// In which room.
        room: Name,
        /// What.
        seen: Seen,
    },
    /// A device's subscription ended, by its own will or not.
    Ended {
        /// Which device.
        device: Name,
        /// In which room.
        room: Name,
    },
    /// Somebody was told where their own mark stands.
    Marked(Mark),
    /// A device was told that somebody's mark has grown.
    Heard(Heard),
    /// A notification was posted, and acknowledged.
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
    /// A device got a notification.
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
    /// Its place in the room's log.
    pub seq: u64,
    /// Whether the server says that it had it already.
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
    /// How it ended; without a place if there was nothing to change.
    pub outcome: Outcome<Option<Stored>>,
}

/// An entry as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its own place in the log.
    pub seq: u64,
    /// What it says; `None` where the page showed only what later entries have made of it.
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
    /// What the client said it has, of this epoch.
    pub since: Option<u64>,
    /// The log's end; live deliveries begin behind it.
    pub head: u64,
    /// The server says that it can't show completeness.
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

/// A user's own mark, as an answer showed it. The ordinals come from [`Recorder::tick`](super::Recorder::tick).
#[derive(Clone, Debug)]
pub struct Mark {
    /// Where.
    pub room: Name,
    /// Whose.
    pub user: Name,
    /// Which mark.
    pub kind: MarkKind,
    /// Before the question was asked.
    pub begun: u64,
    /// After the answer came.
    pub ended: u64,
    /// What it stood at.
    pub seq: u64,
}

/// The news that somebody's mark has grown.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Who was told.
    pub device: Name,
    /// Where.
    pub room: Name,
    /// Whose mark.
    pub user: Name,
    /// Which mark.
    pub kind: MarkKind,
    /// What it is said to stand at.
    pub seq: u64,
}

/// A room's log from behind `after` to its end, read back while nothing was under way.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Which room.
    pub room: Name,
    /// The log's epoch.
    pub epoch: Name,
    /// The entry before the first one read; 0 for the whole log.
    pub after: u64,
    /// What was read.
    pub entries: Vec<Logged>,
}

/// An entry of the log as it was read back.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its place.
    pub seq: u64,
    /// Its kind, and what is needed to recognise it.
    pub what: What,
}

/// What the log holds at one place.
#[derive(Clone, Debug)]
pub enum What {
    /// A message.
    Message {
        /// Whose.
        user: Name,
        /// Its client's id for it.
        client_id: Option<Name>,
        /// What it says; `None` if it was edited or deleted since.
        content: Option<Content>,
    },
    /// An edit, a deletion or a reaction; `None` if the log no longer tells what it said.
    Change(Option<Content>),
}
