//! A socket on any node, as it was when listed.

use std::net::IpAddr;

use roomful_wire::packet::Payload;
use serde::{Deserialize, Serialize};

use super::{
    Namespace, Socket,
    emit_error::{EmitError, check_name},
    selection::{Action, Selection},
};
use crate::{id::SocketId, node_tag::NodeTag, outbox::Class, prepared::Prepared};

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
    #[cfg(feature = "cluster")]
    pub(super) fn of(namespace: &Namespace, node: NodeTag, id: SocketId, details: SocketDetails) -> Self {
        RemoteSocket {
            namespace: namespace.clone(),
            node: Some(node),
            id,
            details,
        }
    }

    /// A socket of this node.
    pub(super) fn own(socket: &Socket) -> Self {
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
        match (self.node, self.namespace.remote_nodes()) {
            (Some(node), Some(nodes)) => {
                nodes.emit_at(node, &self.namespace, Selection::one(self.id.as_str()), &event);
            }
            _ => {
                if let Some(socket) = self.here() {
                    socket.send_prepared(&event, Class::Durable);
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
        if let (Some(node), Some(nodes)) = (self.node, self.namespace.remote_nodes()) {
            nodes.act_at(node, &self.namespace, Selection::one(self.id.as_str()), act);
        } else if let Some(socket) = self.here() {
            match act {
                Action::Join(room) => drop(socket.join(&room)),
                Action::Leave(room) => socket.leave(&room),
                Action::Disconnect(close_transport) => socket.disconnect(close_transport),
            }
        }
    }
}

/// Properties of a socket for other nodes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SocketDetails {
    pub(super) rooms: Vec<String>,
    pub(super) address: IpAddr,
    pub(super) headers: Vec<(String, String)>,
    pub(super) query: String,
}

impl SocketDetails {
    pub(super) fn of(socket: &Socket) -> Self {
        let handshake = socket.handshake();
        let headers = handshake.headers.iter();
        SocketDetails {
            rooms: socket.rooms().iter().map(ToString::to_string).collect(),
            address: handshake.address,
            headers: headers
                .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
                .collect(),
            query: handshake.query().to_owned(),
        }
    }
}
