//! Messages to the other nodes.

use std::borrow::Cow;

use roomful_store::{AppendResult, Appended, LogEntry, LogPosition, NewEntry, RoomId};
use serde::Serialize;

use super::{
    Cluster, LOG,
    bus_message::{BusEntry, CommitHint, Mark, RoomMessage, UserMessage, encode},
    room_topic, user_topic,
};
use crate::{log::control::CONTROL_ROOM, types::UserId};

/// An entry that this node has committed.
pub(crate) struct CommittedEntry<'a> {
    pub(crate) room: RoomId,
    pub(crate) name: &'a str,
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) entry: NewEntry,
}

impl CommittedEntry<'static> {
    /// A control entry as it was committed; `None` if it was rejected.
    pub(crate) fn control(entry: NewEntry, result: &AppendResult) -> Option<Self> {
        let [Ok(Appended::New { seq, at })] = *result.results else {
            return None;
        };
        Some(Self {
            room: entry.room,
            name: CONTROL_ROOM,
            seq,
            at,
            entry,
        })
    }
}

impl CommittedEntry<'_> {
    /// The entry as others read it from the log.
    pub(crate) fn log_entry(&self, position: LogPosition) -> LogEntry {
        BusEntry::of(position, self.seq, &self.entry, self.at).into_log_entry(self.room)
    }
}

impl Cluster {
    /// Announces a commit, whose entries have the positions from `first` on.
    pub(crate) fn publish_commit(&self, epoch: &str, first: LogPosition, committed: &[CommittedEntry<'_>]) {
        let mut rooms: Vec<(RoomId, &str)> = Vec::new();
        let mut entries: Vec<Vec<BusEntry<'_>>> = Vec::new();
        let mut room_of = Vec::with_capacity(committed.len());
        for (position, new) in first.and_following().zip(committed) {
            let known = rooms.iter().rposition(|(id, _)| *id == new.room);
            let index = known.unwrap_or_else(|| {
                rooms.push((new.room, new.name));
                entries.push(Vec::new());
                rooms.len() - 1
            });
            room_of.push(index);
            if let Some(entries) = entries.get_mut(index) {
                entries.push(BusEntry::of(position, new.seq, &new.entry, new.at));
            }
        }
        // Entries first, so that as a rule a node has them when it gets the hint.
        for ((room, _), entries) in rooms.iter().zip(entries) {
            let epoch = epoch.into();
            self.publish_to_room(*room, &RoomMessage::Entries { epoch, entries });
        }
        let rooms = rooms.iter().map(|(id, name)| (*id, (*name).into()));
        let uncounted = committed.iter().enumerate();
        let uncounted = uncounted.filter(|(_, new)| !new.entry.kind.changes_unread());
        let uncounted = uncounted.map(|(index, _)| index).collect();
        let hint = CommitHint {
            epoch: epoch.into(),
            first,
            rooms: rooms.collect(),
            room_of,
            uncounted,
        };
        self.config.bus.publish(LOG, encode(&hint));
    }

    /// Sends an event without a log entry to the room's sockets on other nodes. `mark` is the user and the
    /// value of the mark that the event carries: the event replaces a queued one with an older mark.
    pub(crate) fn publish_event<T: Serialize>(
        &self,
        room: RoomId,
        event: &str,
        data: &T,
        mark: Option<(&UserId, u64)>,
    ) {
        let data = match serde_json::value::to_raw_value(data) {
            Ok(data) => data,
            Err(error) => return tracing::error!(event, %error, "failed to encode an event"),
        };
        let message = RoomMessage::Event {
            event: event.into(),
            data: Cow::Owned(data),
            mark: mark.map(|(user, value)| Mark {
                user: user.as_ref().into(),
                value,
            }),
        };
        self.publish_to_room(room, &message);
    }

    pub(crate) fn publish_typing(&self, room: RoomId, user: &UserId, on: bool) {
        let user = user.as_ref().into();
        self.publish_to_room(room, &RoomMessage::Typing { user, on });
    }

    /// This node's list of the room's online users has changed.
    pub(crate) fn publish_room_presence(&self, room: RoomId) {
        self.publish_to_room(room, &RoomMessage::Presence);
    }

    /// This node's entry of the user has changed.
    pub(crate) fn publish_user_presence(&self, user: &str) {
        self.publish_to_user(user, &UserMessage::Presence);
    }

    /// Sends a message to the other nodes on which the user is connected or watched.
    pub(crate) fn publish_to_user(&self, user: &str, message: &UserMessage<'_>) {
        self.config.bus.publish(&user_topic(user), encode(message));
    }

    fn publish_to_room(&self, room: RoomId, message: &RoomMessage<'_>) {
        self.config.bus.publish(&room_topic(room), encode(message));
    }
}
