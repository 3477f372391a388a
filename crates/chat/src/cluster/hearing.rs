//! What comes over the bus. Called on the bus's own task, so it takes note and wakes others.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use roomful_bus::Listener;
use roomful_socket::Reason;
use roomful_store::{RoomId, SessionKey};

use super::{
    Cluster, LOG,
    upcoming::RoomKey,
    word::{Places, RoomWord, UserWord, decode},
};
use crate::{servers::chat::Chat, session::Session, types::RoomName};

/// Hears all topics of this node.
pub(super) struct Ear(pub(super) Weak<Cluster>);

impl Listener for Ear {
    fn message(&self, topic: &str, message: Bytes) {
        let Some(cluster) = self.0.upgrade() else { return };
        let Some(chat) = cluster.chat() else { return };
        match topic.split_once(':') {
            Some(("room", id)) => {
                if let (Ok(id), Some(word)) = (id.parse(), decode(topic, &message)) {
                    cluster.room_word(&chat, id, word);
                }
            }
            Some(("user", user)) => {
                if let Some(word) = decode(topic, &message) {
                    user_word(&chat, user, word);
                }
            }
            _ if topic == LOG => {
                if let Some(places) = decode(topic, &message) {
                    cluster.places(&chat, &places);
                }
            }
            _ => {}
        }
    }

    fn gap(&self, topic: &str) {
        if topic == LOG
            && let Some(cluster) = self.0.upgrade()
        {
            cluster.gap.notify_one();
        }
    }
}

impl Cluster {
    fn places(&self, chat: &Chat, told: &Places<'_>) {
        if *told.epoch != *chat.order.epoch() {
            // One of us has not noticed yet that the order began anew. The store knows.
            return self.gap.notify_one();
        }
        let key = |(id, name): &(RoomId, std::borrow::Cow<'_, str>)| RoomKey {
            id: *id,
            name: RoomName::new(name).ok(),
        };
        let keys: Vec<_> = told.rooms.iter().map(key).collect();
        let rooms = told.room_of.iter().map_while(|at| keys.get(*at).cloned());
        self.upcoming.lock().add_places(told.first, rooms);
        self.awake();
    }

    fn room_word(&self, chat: &Arc<Chat>, id: RoomId, word: RoomWord<'_>) {
        match word {
            RoomWord::Entries { epoch, entries } => {
                if *epoch != *chat.order.epoch() {
                    return self.gap.notify_one();
                }
                let mut upcoming = self.upcoming.lock();
                for line in entries {
                    upcoming.add_entry(line.placed(id));
                }
                drop(upcoming);
                self.awake();
            }
            RoomWord::Event { event, data, grown } => {
                let Some(room) = chat.rooms.get(id) else { return };
                let grown = grown.as_ref().map(|grown| (&*grown.of, grown.to));
                chat.tell_room_here(&room, &event, &*data, grown, |_| true);
            }
            RoomWord::Crowd => {
                if let Some(link) = &chat.presence.link {
                    link.hear_room(id);
                }
            }
            RoomWord::Typing { user, on } => chat.typing.hear(&user.into(), id, on),
        }
    }

    /// Something was told of the order.
    pub(super) fn awake(&self) {
        self.news.notify_one();
        self.told.notify_one();
    }
}

fn user_word(chat: &Arc<Chat>, user: &str, word: UserWord<'_>) {
    match word {
        UserWord::Presence => {
            if let Some(link) = &chat.presence.link {
                link.hear_user(user);
            }
        }
        UserWord::Read { room, name } => {
            let Ok(name) = RoomName::new(&name) else { return };
            let (chat, user) = (Arc::clone(chat), user.into());
            tokio::spawn(async move { chat.unread.user_read(&user, room, &name).await });
        }
        UserWord::NotificationsUnread(unread) => chat.notifications.read_elsewhere(&user.into(), unread),
        UserWord::TakenOver(key) => {
            let key = Some(SessionKey(key));
            for socket in chat.connections.sockets(user) {
                if socket
                    .state::<Session>()
                    .is_some_and(|session| session.key() == key)
                {
                    socket.close(Reason::ForcedClose);
                }
            }
        }
    }
}
