//! What the cluster's calls do on this node.

use std::sync::Arc;

use roomful_socket::Reason;
use roomful_store::{RoomId, SessionKey};
use serde_json::value::RawValue;

use super::App;
use crate::{
    cluster::{NodeAnswer, NodeEvents, NodeQuery},
    session::Session,
    stats::Stats,
    types::{RoomName, UserId},
};

impl NodeEvents for App {
    fn stats(&self) -> Stats {
        self.stats()
    }

    fn answer(&self, query: &NodeQuery) -> NodeAnswer {
        self.own_answer(query)
    }

    fn lease_began(&self) {
        self.presence.put_all();
    }

    fn lease_lost(&self) -> u64 {
        self.profiles.clear();
        let mut clients = 0;
        for socket in self.namespace.sockets() {
            socket.close(Reason::ForcedClose);
            clients += 1;
        }
        clients
    }

    fn room_event(&self, room: RoomId, event: &str, data: &RawValue, mark: Option<(&str, u64)>) {
        if let Some(room) = self.rooms.get(room) {
            self.emit_to_room_locally(&room, event, data, mark, |_| true);
        }
    }

    fn room_presence_changed(&self, room: RoomId) {
        if let Some(sync) = &self.presence.sync {
            sync.other_list_changed(room);
        }
    }

    fn typing(&self, user: &UserId, room: RoomId, typing: bool) {
        self.typing.apply_remote_typing(user, room, typing);
    }

    fn user_presence_changed(&self, user: &str) {
        if let Some(sync) = &self.presence.sync {
            sync.other_user_changed(user);
        }
    }

    fn room_read(self: Arc<Self>, user: UserId, room: RoomId, name: RoomName) {
        tokio::spawn(async move { self.unread.user_read(&user, room, &name).await });
    }

    fn notifications_read(&self, user: &UserId, unread: u64) {
        self.notifications.apply_remote_read(user, unread);
    }

    fn session_taken_over(&self, user: &str, key: SessionKey) {
        for socket in self.connections.sockets(user) {
            let session = socket.state::<Session>();
            if session.is_some_and(|session| session.key() == Some(key)) {
                socket.close(Reason::ForcedClose);
            }
        }
    }
}
