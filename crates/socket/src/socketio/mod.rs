//! Socket.IO 5 on top of Engine.IO sessions: namespaces, sockets, rooms, events and acks.
//!
//! This file has the types that refer to each other: a socket knows its namespace, and a namespace knows its
//! sockets. Each file below describes itself.

mod ack;
#[cfg(feature = "cluster")]
mod adapter;
mod broadcast;
mod client;
mod cluster_node;
mod collect_acks;
mod drain;
mod emit_error;
mod event;
mod handlers;
mod join;
mod memory_recovery;
mod msgpack;
mod namespace;
mod namespaces;
mod recovery;
mod remote_nodes;
mod remote_socket;
mod rooms;
mod selection;
mod server;
mod server_event;
mod socket;

use std::{
    any::Any,
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU32},
    },
};

use indexmap::IndexMap;
use parking_lot::{Mutex, RwLock};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use self::{
    ack::Pending, handlers::Handlers, memory_recovery::MemoryRecovery, remote_nodes::RemoteNodes,
    rooms::Rooms,
};
pub use self::{
    ack::{AckError, AckSender},
    broadcast::Broadcast,
    emit_error::EmitError,
    event::Event,
    handlers::Refusal,
    join::Joined,
    memory_recovery::RecoveryLimits,
    recovery::{PrivateId, Recovery, RecoveryRequest, Restored, Restoring},
    remote_nodes::FetchError,
    remote_socket::RemoteSocket,
    server::{Builder, WebSocketServer},
    server_event::ServerEvent,
};
use crate::{engine::Session, id::SocketId, reason::Reason};

/// A namespace of a server. Clones refer to the same namespace.
///
/// Register handlers once, before clients connect. Events of one connection are handled strictly in order:
/// a handler starts when the future of the previous one has ended. A handler's future is never dropped
/// half-way when its client leaves.
#[derive(Clone)]
pub struct Namespace(Arc<NamespaceInner>);

struct NamespaceInner {
    name: Arc<str>,
    handlers: Arc<Handlers>,
    sockets: RwLock<IndexMap<SocketId, Socket>>,
    rooms: Rooms,
    recovery: OnceLock<Arc<dyn Recovery>>,
    /// The built-in recovery, which keeps all events that are emitted.
    memory_recovery: OnceLock<Arc<MemoryRecovery>>,
    /// The other nodes of a cluster.
    remote_nodes: Option<Arc<dyn RemoteNodes>>,
    /// Shared by single sends and broadcasts, so that an id is unique per client.
    next_ack_id: AtomicU32,
}

/// A client in a namespace. Clones refer to the same socket.
#[derive(Clone)]
pub struct Socket(Arc<SocketInner>);

struct SocketInner {
    id: SocketId,
    /// The id of the recovered session, if any.
    kept_id: OnceLock<SocketId>,
    namespace: Namespace,
    session: Arc<Session>,
    phase: AtomicU8,
    socket_state: Mutex<SocketState>,
    pending: Pending,
    state: OnceLock<Arc<dyn Any + Send + Sync>>,
}

struct SocketState {
    auth: Option<Box<RawValue>>,
    rooms: SmallVec<[Arc<str>; 1]>,
    /// Why the socket left, until its connection has taken the reason.
    left: Option<Reason>,
}

/// State of a socket. Kept outside the lock on [`SocketState`]: it is read while rooms are locked, and
/// joining a room takes the locks in the other order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// The middleware is running.
    Connecting,
    Connected,
    /// Left or refused.
    Gone,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", self.id())
            .field("namespace", &self.namespace().name())
            .finish()
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Socket {}

impl Hash for Socket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // By address, like equality: the id may change.
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Namespace").field(&self.name()).finish()
    }
}
