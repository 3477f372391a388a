//! Who hears of a user's presence: those who share a room with them, those who subscribed to them, and their own other
//! devices. What they hear, and when, is the presence server's business.

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
    config::ChatConfig, middleware::admission::UserConnections, room_manager::RoomManager, session::Session,
    types::UserId,
};

/// The sockets that may want to know.
pub(crate) struct Recipients {
    /// Who subscribed to whom. Bounded by `watched_per_socket` for each socket.
    watchers: Mutex<HashMap<UserId, HashMap<SocketId, Socket>>>,
    rooms: Arc<RoomManager>,
    connections: Arc<UserConnections>,
    namespace: Namespace,
    announce_max: usize,
    keys: RandomState,
}

impl Recipients {
    pub(crate) fn new(
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

    /// The socket hears of these users from now on. Answers of whom nobody had heard before.
    pub(crate) fn watch(&self, socket: &Socket, users: &[UserId]) -> Vec<UserId> {
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

    /// The socket does not hear of these users any more. Answers of whom nobody hears now.
    pub(crate) fn unwatch<U: AsRef<str>>(&self, socket: &Socket, users: &[U]) -> Vec<UserId> {
        let mut watchers = self.watchers.lock();
        let mut done = Vec::new();
        for user in users {
            if let Some(sockets) = watchers.get_mut(user.as_ref()) {
                sockets.remove(socket.id());
                if sockets.is_empty() {
                    done.extend(watchers.remove_entry(user.as_ref()).map(|(user, _)| user));
                }
            }
        }
        done
    }

    /// Whether somebody hears of the user.
    pub(crate) fn is_watched(&self, user: &str) -> bool {
        self.watchers.lock().contains_key(user)
    }

    /// Everybody else who is to hear of a user in these rooms, each socket once.
    pub(crate) fn others(&self, user: &UserId, rooms: &[RoomId]) -> HashMap<SocketId, Socket> {
        let mut others = self.watchers_of(user);
        others.extend(self.neighbours(user, rooms));
        others
    }

    /// The sockets of others that are subscribed to the user.
    pub(crate) fn watchers_of(&self, user: &UserId) -> HashMap<SocketId, Socket> {
        let mut watchers = self.watchers.lock().get(user).cloned().unwrap_or_default();
        watchers.retain(|_, socket| !is_of(socket, user));
        watchers
    }

    /// The sockets of others in these rooms, as far as the rooms are in memory and not too large.
    pub(crate) fn neighbours(&self, user: &UserId, rooms: &[RoomId]) -> HashMap<SocketId, Socket> {
        let rooms = rooms.iter().filter_map(|room| self.rooms.get(*room));
        let subscribers = rooms.flat_map(|room| room.subscribers(self.announce_max));
        subscribers
            .filter(|subscriber| subscriber.user != *user)
            .map(|subscriber| (*subscriber.socket.id(), subscriber.socket))
            .collect()
    }

    /// The user's sockets, but for this one.
    pub(crate) fn other_devices(&self, user: &UserId, but: Option<&Socket>) -> Vec<Socket> {
        let mut sockets = self.connections.sockets(user);
        sockets.retain(|socket| Some(socket) != but);
        sockets
    }

    /// Only the newest news of a user counts, so it replaces an older one that still waits. For that, each event has to
    /// say all there is to say.
    pub(crate) fn tell<T: Serialize>(
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
            Err(error) => tracing::error!(event, %error, "an event can't be encoded"),
        }
    }
}

/// Whether the socket is subscribed to one of these rooms.
pub(crate) fn knows(socket: &Socket, rooms: &[RoomId]) -> bool {
    socket
        .state::<Session>()
        .is_some_and(|session| session.is_in_any(rooms))
}

fn is_of(socket: &Socket, user: &UserId) -> bool {
    socket
        .state::<Session>()
        .is_some_and(|session| session.user == *user)
}
