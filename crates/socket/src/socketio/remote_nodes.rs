//! The other nodes of a cluster, as namespaces and broadcasts see them.

use std::{future::Future, pin::Pin, sync::Arc};

use roomful_wire::packet::Payload;
use tokio::time::Instant;

use super::{
    Namespace,
    ack::AckError,
    remote_socket::RemoteSocket,
    selection::{Action, Selection},
};
use crate::{id::SocketId, node_tag::NodeTag, outbox::Class, prepared::Prepared};

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// Takes the outcome of each asked socket.
pub(super) type Report<'a> = Box<dyn FnMut(SocketId, Result<Payload, AckError>) + Send + 'a>;

/// Why the sockets of all nodes could not be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A live node did not answer in time.
    #[error("a node did not answer in time")]
    TimedOut,
    /// A node has more than 5,000 sockets to list.
    #[error("a node has more sockets than can be listed at once")]
    TooMany,
}

/// Sockets of the other nodes. Delivery is best effort.
pub(super) trait RemoteNodes: Send + Sync {
    /// Sends an event to the selected sockets of other nodes.
    fn emit(&self, namespace: &Namespace, selection: Selection, class: Class, event: &Prepared);

    /// Like [`RemoteNodes::emit`], to one node.
    fn emit_at(&self, node: NodeTag, namespace: &Namespace, selection: Selection, event: &Prepared);

    /// Performs an action on the selected sockets of other nodes.
    fn act(&self, namespace: &Namespace, selection: Selection, act: Action);

    /// Like [`RemoteNodes::act`], on one node.
    fn act_at(&self, node: NodeTag, namespace: &Namespace, selection: Selection, act: Action);

    /// The selected sockets of all other nodes.
    fn fetch<'a>(
        &'a self,
        namespace: &'a Namespace,
        selection: Selection,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Vec<RemoteSocket>, FetchError>>;

    /// Sends an event that asks for an ack with `id` to the selected sockets of all other nodes, and
    /// reports each outcome as it arrives. Sockets of a node that dies or leaves count as disconnected.
    fn ask<'a>(
        &'a self,
        namespace: &'a Namespace,
        selection: Selection,
        id: u64,
        event: &'a Prepared,
        deadline: Instant,
        report: Report<'a>,
    ) -> BoxFuture<'a, ()>;

    /// Sends an event to the servers of all other nodes.
    fn server_event(&self, namespace: &Namespace, event: &str, payload: &Payload);

    /// Call after the first member may have joined, or the last left, a room of this node (`None`: the
    /// namespace). The caller must not hold the rooms' lock.
    fn room_changed(self: Arc<Self>, namespace: &Namespace, room: Option<&str>);
}
