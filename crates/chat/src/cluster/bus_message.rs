//! What nodes tell each other over the bus, as JSON. Nodes of two versions may be at it at the same time while an upgrade
//! rolls on: what can't be read is dropped, which costs no more than a message that was lost.

use std::borrow::Cow;

use bytes::Bytes;
use roomful_store::{Entry, EntryKind, LogEntry, LogPosition, MessageState, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// To all nodes with each commit: which places it took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Places<'a> {
    /// Of the order.
    #[serde(borrow)]
    pub(crate) epoch: Cow<'a, str>,
    pub(crate) first: LogPosition,
    /// Its rooms, by id and name.
    #[serde(borrow)]
    pub(crate) rooms: Vec<(RoomId, Cow<'a, str>)>,
    /// The room of each place, as an index into `rooms`.
    pub(crate) room_of: Vec<usize>,
}

/// To the nodes that serve a room.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RoomBusMessage<'a> {
    /// New entries.
    Entries {
        #[serde(borrow)]
        epoch: Cow<'a, str>,
        #[serde(borrow)]
        entries: Vec<Line<'a>>,
    },
    /// An event for the sockets there that is no entry.
    Event {
        #[serde(borrow)]
        event: Cow<'a, str>,
        #[serde(borrow)]
        data: Cow<'a, RawValue>,
        /// Something of a user has grown: it takes the place of what was told of it before.
        #[serde(borrow)]
        grown: Option<Growth<'a>>,
    },
    /// The node's list of who shows there has changed.
    NodePresence,
    /// A user types, or has stopped.
    Typing {
        #[serde(borrow)]
        user: Cow<'a, str>,
        on: bool,
    },
}

/// Something that only grows has done so.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Growth<'a> {
    /// Whose it is.
    #[serde(borrow)]
    pub(crate) of: Cow<'a, str>,
    pub(crate) to: u64,
}

/// To the nodes on which a user is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum UserBusMessage<'a> {
    /// The node's entry of them has changed.
    Presence,
    /// They have read on in a room.
    Read {
        room: RoomId,
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// So many of their notifications are unread.
    NotificationsUnread(u64),
    /// One of their connections took up this session, which another one still believes to have.
    TakenOver([u8; 16]),
}

/// An entry on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line<'a> {
    position: LogPosition,
    seq: u64,
    kind: Kind,
    target: Option<u64>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    client: Option<Cow<'a, str>>,
    #[serde(borrow)]
    body: Cow<'a, str>,
    at: i64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Kind {
    Message,
    Edit,
    Delete,
    React,
    TakeBack,
    Control,
}

impl<'a> Line<'a> {
    /// A new entry as it was appended.
    pub(crate) fn of(position: LogPosition, seq: u64, entry: &'a roomful_store::NewEntry, at: i64) -> Self {
        Self {
            position,
            seq,
            kind: match entry.kind {
                EntryKind::Message => Kind::Message,
                EntryKind::Edit => Kind::Edit,
                EntryKind::Delete => Kind::Delete,
                EntryKind::Reaction { removed: false } => Kind::React,
                EntryKind::Reaction { removed: true } => Kind::TakeBack,
                EntryKind::Control => Kind::Control,
            },
            target: entry.target,
            user: Cow::Borrowed(&entry.user_id),
            name: entry.user_name.as_deref().map(Cow::Borrowed),
            client: entry.client_id.as_deref().map(Cow::Borrowed),
            body: Cow::Borrowed(&entry.body),
            at,
        }
    }

    pub(crate) fn placed(self, room: RoomId) -> LogEntry {
        let kind = match self.kind {
            Kind::Message => EntryKind::Message,
            Kind::Edit => EntryKind::Edit,
            Kind::Delete => EntryKind::Delete,
            Kind::React => EntryKind::Reaction { removed: false },
            Kind::TakeBack => EntryKind::Reaction { removed: true },
            Kind::Control => EntryKind::Control,
        };
        LogEntry {
            position: self.position,
            room,
            entry: Entry {
                seq: self.seq,
                kind,
                target: self.target,
                user_id: self.user.into_owned(),
                user_name: self.name.map(Cow::into_owned),
                client_id: self.client.map(Cow::into_owned),
                body: self.body.into_owned(),
                at: self.at,
                state: MessageState::default(),
            },
        }
    }
}

/// As it goes over the bus; empty, and a line in the log, if it can't be encoded.
pub(crate) fn encode<T: Serialize>(word: &T) -> Bytes {
    serde_json::to_vec(word)
        .inspect_err(|error| tracing::error!(%error, "a word to other nodes can't be encoded"))
        .unwrap_or_default()
        .into()
}

/// As it came over the bus.
pub(crate) fn decode<'a, T: Deserialize<'a>>(topic: &str, word: &'a [u8]) -> Option<T> {
    serde_json::from_slice(word)
        .inspect_err(|error| tracing::debug!(topic, %error, "a word of another node can't be read"))
        .ok()
}
