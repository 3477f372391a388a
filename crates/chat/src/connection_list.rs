//! The connections of a node as operators see them.

use std::{
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use roomful_socket::Socket;
use serde::{Deserialize, Serialize};

use crate::{session::Session, types::RoomName};

/// An authenticated connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The name of its node.
    pub node: String,
    /// Ascends in the order of admission on its node.
    pub serial: u64,
    /// The id from its `session` event.
    pub session_id: String,
    /// The user's id.
    pub user_id: String,
    /// The user's name in the token.
    pub name: Option<String>,
    /// The device's name; empty if the client gave none.
    pub device: String,
    /// The client's address.
    pub address: IpAddr,
    /// `polling` or `websocket`.
    pub transport: String,
    /// When the client opened it, in milliseconds since 1970.
    pub connected_at: i64,
    /// When its token expires, in milliseconds since 1970.
    pub expires_at: i64,
    /// The number of subscribed rooms.
    pub rooms: usize,
    /// Bytes that wait for the client.
    pub queued_bytes: usize,
}

/// The place of a connection in the list over all nodes: by the node's name, then by its serial there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionKey {
    /// [`Connection::node`].
    pub node: String,
    /// [`Connection::serial`].
    pub serial: u64,
}

/// The connections to list of each node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConnectionQuery {
    /// Only connections of this user.
    pub(crate) user: Option<String>,
    /// Only connections that are subscribed to this room.
    pub(crate) room: Option<String>,
    /// Only connections behind this one.
    pub(crate) after: Option<ConnectionKey>,
    /// The most connections of one node.
    pub(crate) limit: usize,
}

impl ConnectionQuery {
    /// Lists those of the sockets of the node `node` that it asks for, in the order of admission.
    pub(crate) fn list(&self, node: &str, sockets: Vec<Socket>) -> Vec<Connection> {
        let after = match &self.after {
            Some(after) if *after.node > *node => return Vec::new(),
            Some(after) if *after.node == *node => Some(after.serial),
            _ => None,
        };
        let room = match self.room.as_deref().map(RoomName::new) {
            Some(Ok(room)) => Some(room),
            Some(Err(_)) => return Vec::new(),
            None => None,
        };
        let is_wanted = |session: &Session| {
            after.is_none_or(|after| session.serial > after)
                && self.user.as_deref().is_none_or(|user| *session.user == *user)
                && room.as_ref().is_none_or(|room| session.joined(room).is_some())
        };
        let serials = sockets.into_iter().filter_map(|socket| {
            let session = socket.state::<Session>()?;
            is_wanted(&session).then_some((session.serial, socket))
        });
        let mut found: Vec<_> = serials.collect();
        found.sort_unstable_by_key(|(serial, _)| *serial);
        found.truncate(self.limit);
        let connections = found.iter();
        connections
            .filter_map(|(_, socket)| Connection::of(node, socket))
            .collect()
    }
}

impl Connection {
    /// Whether it was open at a time, in milliseconds since 1970. It is open now.
    pub fn was_open_at(&self, at: i64) -> bool {
        self.connected_at <= at
    }

    fn of(node: &str, socket: &Socket) -> Option<Self> {
        let session = socket.state::<Session>()?;
        let handshake = socket.handshake();
        Some(Self {
            node: node.to_owned(),
            serial: session.serial,
            session_id: socket.id().as_str().to_owned(),
            user_id: session.user.to_string(),
            name: session.name().map(|name| name.to_string()),
            device: session.device.to_string(),
            address: handshake.address,
            transport: socket.transport().to_owned(),
            connected_at: milliseconds(handshake.time),
            expires_at: session.expires_at(),
            rooms: session.rooms(),
            queued_bytes: socket.queued_bytes(),
        })
    }
}

fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
