//! The recipients of a user's presence events: sockets in the same rooms, sockets that watch the user, and
//! the user's other devices.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use parking_lot::Mutex;
use roomful_socket::{Class, Namespace, Socket, SocketId};
use roomful_store::RoomId;
use serde::Serialize;

use crate::{
    config::ChatConfig, connections::UserConnections, room_manager::RoomManager, session::Session,
    types::UserId,
};

/// The sockets that presence events may go to.
pub(super) struct Recipients {
    /// The sockets that watch a user. Bounded by `watched_per_socket` for each socket.
    watchers: Mutex<HashMap<UserId, HashMap<SocketId, Socket>>>,
    rooms: Arc<RoomManager>,
    connections: Arc<UserConnections>,
    namespace: Namespace,
    announce_max: usize,
    keys: RandomState,
}

impl Recipients {
    pub(super) fn new(
        config: &ChatConfig,
        rooms: &Arc<RoomManager>,
        connections: &Arc<UserConnections>,
        namespace: &Namespace,
    ) -> Self {
        Self {
            watchers: Mutex::default(),
            rooms: Arc::clone(rooms),
            connections: Arc::clone(connections),
            namespace: namespace.clone(),
            announce_max: config.announce_max,
            keys: RandomState::new(),
        }
    }

    /// The socket watches these users from now on. Returns the users whom no socket has watched before.
    pub(super) fn watch(&self, socket: &Socket, users: &[UserId]) -> Vec<UserId> {
        let mut watchers = self.watchers.lock();
        let mut new = Vec::new();
        for user in users {
            let sockets = watchers.entry(Arc::clone(user)).or_insert_with(|| {
                new.push(Arc::clone(user));
                HashMap::new()
            });
            sockets.insert(*socket.id(), socket.clone());
        }
        new
    }

    /// The socket does not watch these users any more. Returns the users whom no socket watches now.
    pub(super) fn unwatch<U: AsRef<str>>(&self, socket: &Socket, users: &[U]) -> Vec<UserId> {
        let mut watchers = self.watchers.lock();
        let mut unwatched = Vec::new();
        for user in users {
            if let Some(sockets) = watchers.get_mut(user.as_ref()) {
                sockets.remove(socket.id());
                if sockets.is_empty() {
                    unwatched.extend(watchers.remove_entry(user.as_ref()).map(|(user, _)| user));
                }
            }
        }
        unwatched
    }

    /// Whether a socket watches the user.
    pub(super) fn is_watched(&self, user: &str) -> bool {
        self.watchers.lock().contains_key(user)
    }

    /// The sockets of others that watch the user or are in one of these rooms, each once.
    pub(super) fn others(&self, user: &UserId, rooms: &[RoomId]) -> HashMap<SocketId, Socket> {
        let mut others = self.watchers_of(user);
        others.extend(self.in_rooms(user, rooms));
        others
    }

    /// The sockets of others that watch the user.
    pub(super) fn watchers_of(&self, user: &UserId) -> HashMap<SocketId, Socket> {
        let mut watchers = self.watchers.lock().get(user).cloned().unwrap_or_default();
        watchers.retain(|_, socket| !is_of(socket, user) && sees(socket, user));
        watchers
    }

    /// The sockets that are subscribed to the user, whether or not they see them.
    pub(super) fn subscribed_to(&self, user: &UserId) -> Vec<Socket> {
        let watchers = self.watchers.lock();
        watchers
            .get(user)
            .map_or_else(Vec::new, |sockets| sockets.values().cloned().collect())
    }

    /// The sockets of others in these rooms, without those of rooms with more than `announce_max` sockets.
    pub(super) fn in_rooms(&self, user: &UserId, rooms: &[RoomId]) -> HashMap<SocketId, Socket> {
        let rooms = rooms.iter().filter_map(|room| self.rooms.get(*room));
        let subscribers = rooms.flat_map(|room| room.subscribers(self.announce_max));
        subscribers
            .filter(|subscriber| subscriber.user != *user)
            .map(|subscriber| (*subscriber.socket.id(), subscriber.socket))
            .collect()
    }

    /// The user's sockets without `except`.
    pub(super) fn other_devices(&self, user: &UserId, except: Option<&Socket>) -> Vec<Socket> {
        let mut sockets = self.connections.sockets(user);
        sockets.retain(|socket| Some(socket) != except);
        sockets
    }

    /// Sends an event about a user. It replaces an earlier one about them that still waits, so each event has
    /// to carry everything.
    pub(super) fn send<T: Serialize>(
        &self,
        user: &UserId,
        event: &str,
        data: &T,
        recipients: impl IntoIterator<Item = Socket>,
    ) {
        let mut recipients = recipients.into_iter().peekable();
        if recipients.peek().is_none() {
            return;
        }
        match self.namespace.prepare(event, data) {
            Ok(prepared) => {
                let class = Class::Latest(self.keys.hash_one(user));
                recipients.for_each(|socket| _ = socket.send_prepared(&prepared, class));
            }
            Err(error) => tracing::error!(event, %error, "failed to encode an event"),
        }
    }
}

/// Whether the socket is subscribed to one of these rooms.
pub(super) fn knows(socket: &Socket, rooms: &[RoomId]) -> bool {
    let session = socket.state::<Session>();
    session.is_some_and(|session| session.is_in_any(rooms))
}

/// Whether the socket's session sees the presence of a user it is subscribed to.
fn sees(socket: &Socket, user: &UserId) -> bool {
    socket
        .state::<Session>()
        .is_some_and(|session| session.sees(user))
}

fn is_of(socket: &Socket, user: &UserId) -> bool {
    let session = socket.state::<Session>();
    session.is_some_and(|session| session.user == *user)
}
