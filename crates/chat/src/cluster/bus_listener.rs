//! What comes over the bus. Called on the bus's own task, so it takes note and wakes others.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use roomful_bus::Listener;
use roomful_socket::Reason;
use roomful_store::{RoomId, SessionKey};

use super::{
    Cluster, LOG,
    bus_message::{Places, RoomBusMessage, UserBusMessage, decode},
};
use crate::{app::App, log::reorder_buffer::RoomKey, session::Session, types::RoomName};

/// Hears all topics of this node.
pub(super) struct BusListener(pub(super) Weak<Cluster>);

impl Listener for BusListener {
    fn message(&self, topic: &str, message: Bytes) {
        let Some(cluster) = self.0.upgrade() else { return };
        let Some(app) = cluster.app() else { return };
        match topic.split_once(':') {
            Some(("room", id)) => {
                if let (Ok(id), Some(word)) = (id.parse(), decode(topic, &message)) {
                    cluster.room_word(&app, id, word);
                }
            }
            Some(("user", user)) => {
                if let Some(word) = decode(topic, &message) {
                    user_word(&app, user, word);
                }
            }
            _ if topic == LOG => {
                if let Some(places) = decode(topic, &message) {
                    cluster.places(&app, &places);
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
    fn places(&self, app: &App, told: &Places<'_>) {
        if *told.epoch != *app.log.epoch() {
            // One of us has not noticed yet that the order began anew. The store knows.
            return self.gap.notify_one();
        }
        let key = |(id, name): &(RoomId, std::borrow::Cow<'_, str>)| RoomKey {
            id: *id,
            name: RoomName::new(name).ok(),
        };
        let keys: Vec<_> = told.rooms.iter().map(key).collect();
        let rooms = told.room_of.iter().map_while(|at| keys.get(*at).cloned());
        self.reorder_buffer.lock().add_places(told.first, rooms);
        self.awake();
    }

    fn room_word(&self, app: &Arc<App>, id: RoomId, word: RoomBusMessage<'_>) {
        match word {
            RoomBusMessage::Entries { epoch, entries } => {
                if *epoch != *app.log.epoch() {
                    return self.gap.notify_one();
                }
                let mut reorder_buffer = self.reorder_buffer.lock();
                for line in entries {
                    reorder_buffer.add_entry(line.placed(id));
                }
                drop(reorder_buffer);
                self.awake();
            }
            RoomBusMessage::Event { event, data, grown } => {
                let Some(room) = app.rooms.get(id) else { return };
                let grown = grown.as_ref().map(|grown| (&*grown.of, grown.to));
                app.tell_room_here(&room, &event, &*data, grown, |_| true);
            }
            RoomBusMessage::NodePresence => {
                if let Some(link) = &app.presence.link {
                    link.hear_room(id);
                }
            }
            RoomBusMessage::Typing { user, on } => app.typing.hear(&user.into(), id, on),
        }
    }

    /// Something was told of the order.
    pub(super) fn awake(&self) {
        self.news.notify_one();
        self.told.notify_one();
    }
}

fn user_word(app: &Arc<App>, user: &str, word: UserBusMessage<'_>) {
    match word {
        UserBusMessage::Presence => {
            if let Some(link) = &app.presence.link {
                link.hear_user(user);
            }
        }
        UserBusMessage::Read { room, name } => {
            let Ok(name) = RoomName::new(&name) else { return };
            let (app, user) = (Arc::clone(app), user.into());
            tokio::spawn(async move { app.unread.user_read(&user, room, &name).await });
        }
        UserBusMessage::NotificationsUnread(unread) => app.notifications.read_elsewhere(&user.into(), unread),
        UserBusMessage::TakenOver(key) => {
            let key = Some(SessionKey(key));
            for socket in app.connections.sockets(user) {
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
