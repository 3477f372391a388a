//! Messages of other nodes: entries go to the inbox, everything else to the node.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use roomful_store::{RoomId, SessionKey};

use super::{
    Cluster, LOG,
    bus_message::{CommitHint, RoomMessage, UserMessage, decode},
    node_events::NodeEvents,
    node_queries::QUERIES,
};
use crate::{log::reorder_buffer::RoomKey, types::RoomName};

/// Listens to all topics of this node. Runs on the task of the bus, so it only passes messages on.
pub(super) struct BusListener(pub(super) Weak<Cluster>);

impl roomful_bus::BusListener for BusListener {
    fn message(&self, topic: &str, message: Bytes) {
        let Some(cluster) = self.0.upgrade() else { return };
        match topic.split_once(':') {
            Some(("room", id)) => {
                if let (Ok(id), Some(message)) = (id.parse(), decode(topic, &message)) {
                    cluster.room_message(id, message);
                }
            }
            Some(("user", user)) => {
                if let (Some(node), Some(message)) = (cluster.events.upgrade(), decode(topic, &message)) {
                    user_message(node, user, message);
                }
            }
            Some(("answers", _)) => {
                if let Some(answer) = decode(topic, &message) {
                    cluster.queries.answered(answer);
                }
            }
            _ if topic == QUERIES => {
                if let Some(query) = decode(topic, &message) {
                    cluster.answer(query);
                }
            }
            _ if topic == LOG => {
                if let Some(hint) = decode(topic, &message) {
                    cluster.commit_hint(&hint);
                }
            }
            _ => {}
        }
    }

    fn gap(&self, topic: &str) {
        if topic == LOG
            && let Some(cluster) = self.0.upgrade()
        {
            cluster.inbox.poll_now();
        }
    }
}

impl Cluster {
    fn commit_hint(&self, hint: &CommitHint<'_>) {
        let key = |(id, name): &(RoomId, std::borrow::Cow<'_, str>)| RoomKey {
            id: *id,
            name: RoomName::new(name).ok(),
            counts_changed: true,
        };
        let keys: Vec<_> = hint.rooms.iter().map(key).collect();
        let rooms = hint.room_of.iter().enumerate().map_while(|(index, room)| {
            let counts_changed = hint.uncounted.binary_search(&index).is_err();
            let key = keys.get(*room)?.clone();
            Some(RoomKey {
                counts_changed,
                ..key
            })
        });
        self.inbox.push_hints(&hint.epoch, hint.first, rooms);
    }

    fn room_message(&self, id: RoomId, message: RoomMessage<'_>) {
        if let RoomMessage::Entries { epoch, entries } = message {
            let entries = entries.into_iter().map(|entry| entry.into_log_entry(id));
            return self.inbox.push_entries(&epoch, entries);
        }
        let Some(node) = self.events.upgrade() else { return };
        match message {
            RoomMessage::Entries { .. } => {}
            RoomMessage::Event { event, data, mark } => {
                let mark = mark.as_ref().map(|mark| (&*mark.user, mark.value));
                node.room_event(id, &event, &data, mark);
            }
            RoomMessage::Presence => node.room_presence_changed(id),
            RoomMessage::Typing { user, on } => node.typing(&user.into(), id, on),
        }
    }
}

fn user_message(node: Arc<dyn NodeEvents>, user: &str, message: UserMessage<'_>) {
    match message {
        UserMessage::Presence => node.user_presence_changed(user),
        UserMessage::Read { room, name } => {
            if let Ok(name) = RoomName::new(&name) {
                node.room_read(user.into(), room, name);
            }
        }
        UserMessage::NotificationsUnread(unread) => node.notifications_read(&user.into(), unread),
        UserMessage::TakenOver(key) => node.session_taken_over(user, SessionKey(key)),
    }
}
