//! The messages between nodes, as JSON.
//!
//! Nodes of two versions run side by side during an upgrade. A node drops a message that it can't decode: the
//! cost is that of a message lost by the bus.

use std::borrow::Cow;

use bytes::Bytes;
use roomful_store::{Entry, EntryKind, LogEntry, LogPosition, MessageState, NewEntry, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// To all nodes, for each commit: the rooms of its positions.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CommitHint<'a> {
    #[serde(borrow)]
    pub(super) epoch: Cow<'a, str>,
    /// The first position.
    pub(super) first: LogPosition,
    /// The rooms, by id and name.
    #[serde(borrow)]
    pub(super) rooms: Vec<(RoomId, Cow<'a, str>)>,
    /// The room of each position, as an index into `rooms`.
    pub(super) room_of: Vec<usize>,
    /// Indexes into `room_of`, ascending, of the entries that do not change unread counts.
    #[serde(default)]
    pub(super) uncounted: Vec<usize>,
}

/// To the nodes that have a room in memory.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum RoomMessage<'a> {
    /// New entries.
    Entries {
        #[serde(borrow)]
        epoch: Cow<'a, str>,
        #[serde(borrow)]
        entries: Vec<BusEntry<'a>>,
    },
    /// An event without a log entry, for the room's sockets.
    Event {
        #[serde(borrow)]
        event: Cow<'a, str>,
        #[serde(borrow)]
        data: Cow<'a, RawValue>,
        #[serde(borrow)]
        mark: Option<Mark<'a>>,
    },
    /// The sender's list of the room's online users has changed.
    Presence,
    /// A user types, or has stopped.
    Typing {
        #[serde(borrow)]
        user: Cow<'a, str>,
        on: bool,
    },
}

/// A user's mark that an event carries. Marks only grow, so an event replaces one with an older mark.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Mark<'a> {
    #[serde(borrow)]
    pub(super) user: Cow<'a, str>,
    pub(super) value: u64,
}

/// To the nodes on which a user is connected or watched.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum UserMessage<'a> {
    /// The sender's entry of the user has changed.
    Presence,
    /// The user has read on in a room.
    Read {
        room: RoomId,
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// The number of the user's unread notifications.
    NotificationsUnread(u64),
    /// A connection on the sender's node has resumed this session.
    TakenOver([u8; 16]),
}

/// A new entry of a room.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BusEntry<'a> {
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
    AddReaction,
    RemoveReaction,
    Control,
}

impl<'a> BusEntry<'a> {
    /// An entry as it was appended.
    pub(super) fn of(position: LogPosition, seq: u64, entry: &'a NewEntry, at: i64) -> Self {
        Self {
            position,
            seq,
            kind: match entry.kind {
                EntryKind::Message => Kind::Message,
                EntryKind::Edit => Kind::Edit,
                EntryKind::Delete => Kind::Delete,
                EntryKind::Reaction { removed: false } => Kind::AddReaction,
                EntryKind::Reaction { removed: true } => Kind::RemoveReaction,
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

    /// The entry as a node reads it from the log of `room`.
    pub(super) fn into_log_entry(self, room: RoomId) -> LogEntry {
        let kind = match self.kind {
            Kind::Message => EntryKind::Message,
            Kind::Edit => EntryKind::Edit,
            Kind::Delete => EntryKind::Delete,
            Kind::AddReaction => EntryKind::Reaction { removed: false },
            Kind::RemoveReaction => EntryKind::Reaction { removed: true },
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

/// Encodes a message or a registry entry. Empty, with an error in the log, if that fails.
pub(super) fn encode<T: Serialize>(message: &T) -> Bytes {
    serde_json::to_vec(message)
        .inspect_err(|error| tracing::error!(%error, "failed to encode a message to other nodes"))
        .unwrap_or_default()
        .into()
}

/// Decodes a message; `None` if this version can't.
pub(super) fn decode<'a, T: Deserialize<'a>>(topic: &str, message: &'a [u8]) -> Option<T> {
    serde_json::from_slice(message)
        .inspect_err(|error| tracing::debug!(topic, %error, "failed to decode a message of another node"))
        .ok()
}
