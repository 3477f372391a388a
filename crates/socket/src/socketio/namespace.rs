//! A namespace: its sockets, rooms and handlers.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::RwLock;
use roomful_wire::packet::Payload;
use serde::Serialize;

use super::{
    Namespace, NamespaceInner, Socket,
    broadcast::Broadcast,
    emit_error::{EmitError, check_name},
    event::Event,
    handlers::{Handlers, Refusal},
    memory_recovery::{MemoryRecovery, RecoveryLimits},
    recovery::Recovery,
    remote_nodes::{FetchError, RemoteNodes},
    remote_socket::RemoteSocket,
    rooms::Rooms,
    server_event::ServerEvent,
};
use crate::{id::SocketId, prepared::Prepared, reason::Reason};

/// Ack ids of this node are below this number, those of the whole cluster from it to [`MAX_ACK_ID`].
const LOCAL_ACK_IDS: u32 = 1 << 30;
/// The largest ack id. The clients in C++, Java and Rust read ids as signed 32-bit integers.
const MAX_ACK_ID: u32 = i32::MAX.unsigned_abs();

impl Namespace {
    pub(super) fn new(
        name: Arc<str>,
        handlers: Arc<Handlers>,
        remote_nodes: Option<Arc<dyn RemoteNodes>>,
    ) -> Self {
        Namespace(Arc::new(NamespaceInner {
            name,
            handlers,
            sockets: RwLock::default(),
            rooms: Rooms::default(),
            recovery: OnceLock::new(),
            memory_recovery: OnceLock::new(),
            remote_nodes,
            next_ack_id: AtomicU32::new(0),
        }))
    }

    /// The name, starting with `/`. Empty for the template of dynamic namespaces.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Adds a check that each client must pass before it connects. Checks run in the order of registration.
    pub fn use_middleware<F, Fut>(&self, middleware: F) -> &Self
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.0.handlers.add_middleware(middleware);
        self
    }

    /// Adds a check that each event of a client must pass before its handlers. Checks run in the order of
    /// registration. They return the event, changed or not, or a refusal. The client does not learn about a
    /// refusal, unless the check takes the event's ack and answers; [`Socket::count_refused`] counts it.
    pub fn use_event_middleware<F, Fut>(&self, middleware: F) -> &Self
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Event, Refusal>> + Send + 'static,
    {
        self.0.handlers.add_event_middleware(middleware);
        self
    }

    /// Adds a handler that runs when a client has connected, before its first event.
    pub fn on_connect<F, Fut>(&self, handler: F) -> &Self
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.0.handlers.add_on_connect(handler);
        self
    }

    /// Adds a handler of an event. Several handlers run one after the other, in the order of registration.
    pub fn on<F, Fut>(&self, event: &str, handler: F) -> &Self
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.0.handlers.add_on_event(event, handler);
        self
    }

    /// Adds a handler that gets every event, before the event's own handlers.
    pub fn on_any<F, Fut>(&self, handler: F) -> &Self
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.0.handlers.add_on_any(handler);
        self
    }

    /// Adds an observer of the events that are sent to clients of this node: it gets the recipient, the
    /// event's name and its arguments, just before the event is queued. It must not block and must not emit.
    /// Each event is decoded for it, so use it to debug, not in a busy server.
    pub fn on_any_outgoing(
        &self,
        observer: impl Fn(&Socket, &str, &Payload) + Send + Sync + 'static,
    ) -> &Self {
        self.0.handlers.add_on_outgoing(observer);
        self
    }

    /// Adds a handler that runs when a connected client has upgraded from long-polling to WebSocket. It must
    /// not block.
    pub fn on_upgrade(&self, handler: impl Fn(&Socket) + Send + Sync + 'static) -> &Self {
        self.0.handlers.add_on_upgrade(handler);
        self
    }

    /// Adds a handler that runs when a client leaves, while it is still in its rooms. It must not block. It
    /// may run before the handlers of the client's last events; [`Namespace::on_disconnect`] runs after.
    pub fn on_disconnecting(&self, handler: impl Fn(&Socket, Reason) + Send + Sync + 'static) -> &Self {
        self.0.handlers.add_on_disconnecting(handler);
        self
    }

    /// Adds a handler of an event that other nodes send with [`Namespace::server_side_emit`]. It must not
    /// block.
    pub fn on_server_side(
        &self,
        event: &str,
        handler: impl Fn(ServerEvent) + Send + Sync + 'static,
    ) -> &Self {
        self.0.handlers.add_on_server_event(event, handler);
        self
    }

    /// Sends an event to all other nodes of the cluster, best effort, where the handlers of
    /// [`Namespace::on_server_side`] get it. Does nothing on a server without a cluster.
    pub fn server_side_emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), EmitError> {
        self.server_side_emit_payload(event, &Payload::one(data)?);
        Ok(())
    }

    /// Like [`Namespace::server_side_emit`], with any number of arguments, including binary ones.
    pub fn server_side_emit_payload(&self, event: &str, payload: &Payload) {
        if let Some(nodes) = &self.0.remote_nodes {
            nodes.server_event(self, event, payload);
        }
    }

    /// Adds a handler that runs when a client has left, after all its events.
    pub fn on_disconnect<F, Fut>(&self, handler: F) -> &Self
    where
        F: Fn(Socket, Reason) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.0.handlers.add_on_disconnect(handler);
        self
    }

    /// Enables recovery of the sessions that `recovery` stores. `false` if it was set before. Setting it on
    /// a template does not affect the namespaces created from it.
    pub fn set_recovery(&self, recovery: Arc<dyn Recovery>) -> bool {
        self.0.recovery.set(recovery).is_ok()
    }

    /// Enables recovery of lost sessions from this server's memory; see
    /// [`crate::Builder::connection_state_recovery`]. `false` if recovery was enabled before, or in a
    /// cluster, where a client may return to another node.
    pub fn enable_memory_recovery(&self, limits: RecoveryLimits) -> bool {
        if self.0.remote_nodes.is_some() {
            return false;
        }
        let memory = Arc::new(MemoryRecovery::new(limits));
        let set = self.set_recovery(memory.clone());
        set && self.0.memory_recovery.set(memory).is_ok()
    }

    /// Encodes an event once, for [`Socket::send_prepared`] to many sockets.
    pub fn prepare<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<Prepared, EmitError> {
        check_name(event)?;
        Ok(Prepared::event(self.name(), event, None, &Payload::one(data)?))
    }

    /// Like [`Namespace::prepare`], with the offset from which a client that has received the event can
    /// recover. `data` should not be a string: clients take a last argument that is a string for an offset.
    pub fn prepare_at<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
        offset: &str,
    ) -> Result<Prepared, EmitError> {
        check_name(event)?;
        Ok(Prepared::event_at(
            self.name(),
            event,
            &Payload::one(data)?,
            offset,
        ))
    }

    /// Sends an event with one argument to every socket of the namespace, on all nodes of a cluster.
    /// Returns the number of sockets on this node that it was queued for.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<usize, EmitError> {
        Broadcast::new(self.clone()).emit(event, data)
    }

    /// Selects the members of `room`.
    pub fn to(&self, room: &str) -> Broadcast {
        Broadcast::new(self.clone()).to(room)
    }

    /// Selects all sockets outside `room`.
    pub fn except(&self, room: &str) -> Broadcast {
        Broadcast::new(self.clone()).except(room)
    }

    /// Selects all sockets, dropping events for clients that are not ready.
    pub fn volatile(&self) -> Broadcast {
        Broadcast::new(self.clone()).volatile()
    }

    /// Selects all sockets.
    pub fn everybody(&self) -> Broadcast {
        Broadcast::new(self.clone())
    }

    /// Selects the sockets of this node.
    pub fn local(&self) -> Broadcast {
        Broadcast::new(self.clone()).local()
    }

    /// The sockets of all nodes; see [`Broadcast::fetch_sockets`].
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, FetchError> {
        self.everybody().fetch_sockets().await
    }

    /// All sockets on this node.
    pub fn sockets(&self) -> Vec<Socket> {
        self.0.sockets.read().values().cloned().collect()
    }

    /// Number of sockets on this node.
    pub fn len(&self) -> usize {
        self.0.sockets.read().len()
    }

    /// Whether this node has no socket in the namespace.
    pub fn is_empty(&self) -> bool {
        self.0.sockets.read().is_empty()
    }

    /// A socket on this node.
    pub fn socket(&self, id: &SocketId) -> Option<Socket> {
        self.0.sockets.read().get(id).cloned()
    }

    /// Names of the rooms with members on this node.
    pub fn room_names(&self) -> Vec<Arc<str>> {
        self.0.rooms.names()
    }

    pub(super) fn handlers(&self) -> &Arc<Handlers> {
        &self.0.handlers
    }

    /// The other nodes of a cluster.
    pub(super) fn remote_nodes(&self) -> Option<&Arc<dyn RemoteNodes>> {
        self.0.remote_nodes.as_ref()
    }

    /// Adds a socket to a room. Returns the room's shared name, or `None` if the socket was a member
    /// already.
    pub(super) fn join(&self, room: &str, socket: &Socket) -> Option<Arc<str>> {
        let (name, new) = self.0.rooms.join(room, socket)?;
        if new {
            self.room_changed(Some(room));
        }
        Some(name)
    }

    /// Removes a socket from a room.
    pub(super) fn leave(&self, room: &str, socket: &Socket) {
        let ended = self.0.rooms.leave(room, socket);
        if ended {
            self.room_changed(Some(room));
        }
    }

    /// Tells the other nodes that a room has got its first socket here or lost its last one; `None` is the
    /// namespace itself.
    fn room_changed(&self, room: Option<&str>) {
        if let Some(nodes) = &self.0.remote_nodes {
            Arc::clone(nodes).room_changed(self, room);
        }
    }

    pub(super) fn rooms(&self) -> &Rooms {
        &self.0.rooms
    }

    /// An ack id for sockets of this node.
    pub(super) fn next_ack_id(&self) -> u64 {
        u64::from(self.0.next_ack_id.fetch_add(1, Ordering::Relaxed) % LOCAL_ACK_IDS)
    }

    /// False for an id that no event of this node had yet.
    pub(super) fn has_used_ack_id(&self, id: u64) -> bool {
        id < u64::from(self.0.next_ack_id.load(Ordering::Relaxed))
    }

    /// An ack id for sockets of all nodes. Random, so that concurrent broadcasts of several nodes differ;
    /// its range keeps it apart from the ids that each node counts for itself.
    pub(super) fn cluster_ack_id() -> u64 {
        rand::random_range(LOCAL_ACK_IDS..=MAX_ACK_ID).into()
    }

    /// The built-in recovery, if enabled.
    pub(super) fn memory_recovery(&self) -> Option<&Arc<MemoryRecovery>> {
        self.0.memory_recovery.get()
    }

    pub(super) fn recovery(&self) -> Option<&Arc<dyn Recovery>> {
        self.0.recovery.get()
    }

    /// Checks under the lock, so that a closed socket does not replace the one that has recovered its id.
    pub(super) fn insert(&self, socket: Socket) {
        let mut sockets = self.0.sockets.write();
        if !socket.is_open() {
            return;
        }
        sockets.insert(*socket.id(), socket);
        let first = sockets.len() == 1;
        drop(sockets);
        if first {
            self.room_changed(None);
        }
    }

    /// Removes the socket, unless another socket has its id by now.
    pub(super) fn remove(&self, socket: &Socket) {
        let mut sockets = self.0.sockets.write();
        if sockets.get(socket.id()) == Some(socket) {
            sockets.swap_remove(socket.id());
            let empty = sockets.is_empty();
            drop(sockets);
            if empty {
                self.room_changed(None);
            }
        }
    }

    /// Calls `f` for each socket under a shared lock: `f` must not connect or disconnect any.
    pub(super) fn for_each(&self, f: impl FnMut(&Socket)) {
        self.0.sockets.read().values().for_each(f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ack_ids_of_a_node_stay_below_those_of_the_cluster() {
        let namespace = Namespace::new("/".into(), Arc::default(), None);
        for next in [0, LOCAL_ACK_IDS - 1, LOCAL_ACK_IDS, u32::MAX] {
            namespace.0.next_ack_id.store(next, Ordering::Relaxed);
            assert!(namespace.next_ack_id() < LOCAL_ACK_IDS.into());
            assert!(namespace.next_ack_id() < LOCAL_ACK_IDS.into());
        }
        for _ in 0..1000 {
            let id = Namespace::cluster_ack_id();
            assert!(id >= LOCAL_ACK_IDS.into() && i32::try_from(id).is_ok(), "{id}");
        }
    }
}
