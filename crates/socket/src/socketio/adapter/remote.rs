//! A socket of any node, as it was when it was looked for.

use std::net::IpAddr;

use roomful_wire::packet::Payload;
use serde::Serialize;

use super::{Act, Choice, Listed, message::Details};
use crate::{
    cluster::NodeTag,
    id::SocketId,
    prepared::Prepared,
    socketio::{
        namespace::Namespace,
        socket::{EmitError, Socket, check_name},
    },
};

/// Why the sockets of all nodes could not be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// A node that is alive did not answer in time.
    #[error("a node did not answer in time")]
    TimedOut,
    /// A node has more sockets than can be told at once (5,000).
    #[error("a node has more sockets than can be listed at once")]
    TooMany,
}

/// A socket of any node: what it was when it was listed, and a way to reach it. What is done to it is sent to its node, best
/// effort; nothing tells whether it is still there.
///
/// As Socket.IO's `RemoteSocket`, but for the handshake's `auth` and the application's data, which stay on their node.
#[derive(Debug, Clone)]
pub struct RemoteSocket {
    namespace: Namespace,
    /// `None`: this node.
    node: Option<NodeTag>,
    id: SocketId,
    details: Details,
}

impl RemoteSocket {
    pub(super) fn read(namespace: &Namespace, node: Option<NodeTag>, listed: Listed) -> Option<Self> {
        Some(RemoteSocket {
            namespace: namespace.clone(),
            node,
            id: SocketId::parse(&listed.id)?,
            details: listed.details?,
        })
    }

    /// One of this node's own.
    pub(in crate::socketio) fn own(socket: &Socket) -> Self {
        RemoteSocket {
            namespace: socket.namespace().clone(),
            node: None,
            id: *socket.id(),
            details: Details::of(socket),
        }
    }

    /// The socket's id.
    pub fn id(&self) -> &SocketId {
        &self.id
    }

    /// The node that it is on; `None` for this one.
    pub fn node(&self) -> Option<NodeTag> {
        self.node
    }

    /// The generic rooms that it was in.
    pub fn rooms(&self) -> &[String] {
        &self.details.rooms
    }

    /// The client's address.
    pub fn address(&self) -> IpAddr {
        self.details.address
    }

    /// A header of the handshake (its name in lower case), if its node keeps them.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.details.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The handshake's raw query, if its node keeps it.
    pub fn query(&self) -> &str {
        &self.details.query
    }

    /// Sends it an event with one argument.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), EmitError> {
        check_name(event)?;
        let event = Prepared::event(self.namespace.name(), event, None, &Payload::one(data)?);
        match (self.node, self.namespace.adapter()) {
            (Some(node), Some(adapter)) => {
                adapter.emit_at(node, &self.namespace, Choice::one(self.id.as_str()), &event);
            }
            _ => {
                if let Some(socket) = self.here() {
                    socket.send_prepared(&event, crate::Class::Durable);
                }
            }
        }
        Ok(())
    }

    /// Puts it into a room.
    pub fn join(&self, room: &str) {
        self.act(Act::Join(room.to_owned()));
    }

    /// Takes it out of a room.
    pub fn leave(&self, room: &str) {
        self.act(Act::Leave(room.to_owned()));
    }

    /// Disconnects it; see [`Socket::disconnect`].
    pub fn disconnect(&self, close_transport: bool) {
        self.act(Act::Disconnect(close_transport));
    }

    fn here(&self) -> Option<Socket> {
        self.namespace.socket(&self.id)
    }

    fn act(&self, act: Act) {
        if let (Some(node), Some(adapter)) = (self.node, self.namespace.adapter()) {
            adapter.act_at(node, &self.namespace, Choice::one(self.id.as_str()), act);
        } else if let Some(socket) = self.here() {
            match act {
                Act::Join(room) => drop(socket.join(&room)),
                Act::Leave(room) => socket.leave(&room),
                Act::Disconnect(close_transport) => socket.disconnect(close_transport),
            }
        }
    }
}
