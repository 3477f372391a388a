//! A socket on any node, as it was when listed.

use std::net::IpAddr;

use roomful_wire::packet::Payload;
use serde::Serialize;

use super::{Action, Selection, SocketInfo, message::SocketDetails};
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
    /// A live node did not answer in time.
    #[error("a node did not answer in time")]
    TimedOut,
    /// A node has more than 5,000 sockets to list.
    #[error("a node has more sockets than can be listed at once")]
    TooMany,
}

/// A socket on any node: its properties when it was listed, and a way to reach it. Operations are sent to
/// its node, best effort, without a result.
///
/// Unlike Socket.IO's `RemoteSocket`, it has neither the handshake's `auth` nor the application's data.
#[derive(Debug, Clone)]
pub struct RemoteSocket {
    namespace: Namespace,
    /// `None` for this node.
    node: Option<NodeTag>,
    id: SocketId,
    details: SocketDetails,
}

impl RemoteSocket {
    pub(super) fn read(namespace: &Namespace, node: Option<NodeTag>, listed: SocketInfo) -> Option<Self> {
        Some(RemoteSocket {
            namespace: namespace.clone(),
            node,
            id: SocketId::parse(&listed.id)?,
            details: listed.details?,
        })
    }

    /// A socket of this node.
    pub(in crate::socketio) fn own(socket: &Socket) -> Self {
        RemoteSocket {
            namespace: socket.namespace().clone(),
            node: None,
            id: *socket.id(),
            details: SocketDetails::of(socket),
        }
    }

    /// The socket's id.
    pub fn id(&self) -> &SocketId {
        &self.id
    }

    /// The socket's node. `None` for this node.
    pub fn node(&self) -> Option<NodeTag> {
        self.node
    }

    /// The socket's generic rooms.
    pub fn rooms(&self) -> &[String] {
        &self.details.rooms
    }

    /// The client's address.
    pub fn address(&self) -> IpAddr {
        self.details.address
    }

    /// A header of the handshake by its lower-case name, if the node keeps headers.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.details.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The handshake's raw query, if the node keeps it.
    pub fn query(&self) -> &str {
        &self.details.query
    }

    /// Sends an event with one argument.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), EmitError> {
        check_name(event)?;
        let event = Prepared::event(self.namespace.name(), event, None, &Payload::one(data)?);
        match (self.node, self.namespace.adapter()) {
            (Some(node), Some(adapter)) => {
                adapter.emit_at(node, &self.namespace, Selection::one(self.id.as_str()), &event);
            }
            _ => {
                if let Some(socket) = self.here() {
                    socket.send_prepared(&event, crate::Class::Durable);
                }
            }
        }
        Ok(())
    }

    /// Makes the socket join a room.
    pub fn join(&self, room: &str) {
        self.act(Action::Join(room.to_owned()));
    }

    /// Makes the socket leave a room.
    pub fn leave(&self, room: &str) {
        self.act(Action::Leave(room.to_owned()));
    }

    /// Disconnects it; see [`Socket::disconnect`].
    pub fn disconnect(&self, close_transport: bool) {
        self.act(Action::Disconnect(close_transport));
    }

    fn here(&self) -> Option<Socket> {
        self.namespace.socket(&self.id)
    }

    fn act(&self, act: Action) {
        if let (Some(node), Some(adapter)) = (self.node, self.namespace.adapter()) {
            adapter.act_at(node, &self.namespace, Selection::one(self.id.as_str()), act);
        } else if let Some(socket) = self.here() {
            match act {
                Action::Join(room) => drop(socket.join(&room)),
                Action::Leave(room) => socket.leave(&room),
                Action::Disconnect(close_transport) => socket.disconnect(close_transport),
            }
        }
    }
}
