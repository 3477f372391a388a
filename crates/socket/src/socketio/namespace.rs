//! A namespace: a set of sockets with the handlers that serve them.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use indexmap::IndexMap;
use parking_lot::RwLock;
use roomful_wire::packet::Payload;
use serde::Serialize;

use super::{
    adapter::{Adapter, FetchError, RemoteSocket},
    broadcast::Broadcast,
    event::Event,
    handlers::{Handlers, Refusal},
    rooms::Rooms,
    socket::{EmitError, Socket, check_name},
};
use crate::{id::SocketId, prepared::Prepared, reason::Reason, recovery::Recovery};

/// A namespace of a server. Clones are the same namespace.
///
/// Handlers are registered here, once, before clients come. Events of one connection are handled strictly in the
/// order they came: the next handler starts when the future of the one before has ended. A handler is never dropped
/// half-way when its client leaves.
#[derive(Clone)]
pub struct Namespace(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    handlers: Arc<Handlers>,
    sockets: RwLock<IndexMap<SocketId, Socket>>,
    rooms: Rooms,
    recovery: OnceLock<Arc<dyn Recovery>>,
    /// The other nodes, in a cluster.
    adapter: Option<Arc<Adapter>>,
    /// One sequence for single sends and broadcasts, so that an id never means two things to one client.
    next_ack_id: AtomicU64,
}

impl Namespace {
    pub(super) fn new(name: Arc<str>, handlers: Arc<Handlers>, adapter: Option<Arc<Adapter>>) -> Self {
        Namespace(Arc::new(Inner {
            name,
            handlers,
            sockets: RwLock::default(),
            rooms: Rooms::default(),
            recovery: OnceLock::new(),
            adapter,
            next_ack_id: AtomicU64::new(0),
        }))
    }

    /// Its name, `/` first. Of a dynamic namespace's template: the empty string.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    // ---- handlers

    /// Adds a check that each client must pass before it is connected; they run in the order they were added.
    pub fn use_middleware<F, Fut>(&self, middleware: F) -> &Self
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.0.handlers.add_middleware(middleware);
        self
    }

    /// What to do when a client has connected, before its first event is handled.
    pub fn on_connect<F, Fut>(&self, handler: F) -> &Self
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.0.handlers.set_on_connect(handler);
        self
    }

    /// What to do on an event.
    pub fn on<F, Fut>(&self, event: &str, handler: F) -> &Self
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.0.handlers.set_on_event(event, handler);
        self
    }

    /// What to do on an event that has no handler of its own.
    pub fn on_any<F, Fut>(&self, handler: F) -> &Self
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.0.handlers.set_on_any(handler);
        self
    }

    /// What to do when a client has left, after all its events were handled.
    pub fn on_disconnect<F, Fut>(&self, handler: F) -> &Self
    where
        F: Fn(Socket, Reason) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.0.handlers.set_on_disconnect(handler);
        self
    }

    /// Lets clients take up their sessions again, as far as `recovery` remembers them. `false`: it was set before. A
    /// template's does not serve the namespaces that are made from it.
    pub fn set_recovery(&self, recovery: Arc<dyn Recovery>) -> bool {
        self.0.recovery.set(recovery).is_ok()
    }

    // ---- out

    /// Encodes an event once, for [`Socket::send_prepared`] to many.
    pub fn prepare<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<Prepared, EmitError> {
        check_name(event)?;
        Ok(Prepared::event(self.name(), event, None, &Payload::one(data)?))
    }

    /// As [`Namespace::prepare`], with the offset at which a client that has seen the event may take up its session.
    /// `data` should be no string: a client takes any last argument that is a string for an offset.
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

    /// Sends an event with one argument to every socket of the namespace, in a cluster on all nodes; says to how many of this
    /// node's it is on its way.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<usize, EmitError> {
        Broadcast::new(self.clone()).emit(event, data)
    }

    /// To everybody in `room`.
    pub fn to(&self, room: &str) -> Broadcast {
        Broadcast::new(self.clone()).to(room)
    }

    /// To everybody who is not in `room`.
    pub fn except(&self, room: &str) -> Broadcast {
        Broadcast::new(self.clone()).except(room)
    }

    /// To those who are ready for it; for what is worthless later.
    pub fn volatile(&self) -> Broadcast {
        Broadcast::new(self.clone()).volatile()
    }

    /// To all, as long as nothing narrows it.
    pub fn everybody(&self) -> Broadcast {
        Broadcast::new(self.clone())
    }

    /// To the sockets of this node only.
    pub fn local(&self) -> Broadcast {
        Broadcast::new(self.clone()).local()
    }

    // ---- who is there

    /// The sockets of all nodes; see [`Broadcast::fetch_sockets`].
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, FetchError> {
        self.everybody().fetch_sockets().await
    }

    /// All its sockets on this node.
    pub fn sockets(&self) -> Vec<Socket> {
        self.0.sockets.read().values().cloned().collect()
    }

    /// How many sockets it has on this node.
    pub fn len(&self) -> usize {
        self.0.sockets.read().len()
    }

    /// Is nobody there, on this node?
    pub fn is_empty(&self) -> bool {
        self.0.sockets.read().is_empty()
    }

    /// One of its sockets on this node.
    pub fn socket(&self, id: &SocketId) -> Option<Socket> {
        self.0.sockets.read().get(id).cloned()
    }

    /// The names of the rooms that somebody on this node is in.
    pub fn room_names(&self) -> Vec<Arc<str>> {
        self.0.rooms.names()
    }

    // ---- for sockets and broadcasts

    pub(super) fn handlers(&self) -> &Arc<Handlers> {
        &self.0.handlers
    }

    pub(super) fn adapter(&self) -> Option<&Arc<Adapter>> {
        self.0.adapter.as_ref()
    }

    /// Puts a socket into a room; the room's shared name, or `None` if it was in already.
    pub(super) fn join(&self, room: &str, socket: &Socket) -> Option<Arc<str>> {
        let (name, new) = self.0.rooms.join(room, socket)?;
        if new && let Some(adapter) = &self.0.adapter {
            adapter.room_changed(self, Some(room));
        }
        Some(name)
    }

    /// Takes a socket out of a room.
    pub(super) fn leave(&self, room: &str, socket: &Socket) {
        let ended = self.0.rooms.leave(room, socket);
        if ended && let Some(adapter) = &self.0.adapter {
            adapter.room_changed(self, Some(room));
        }
    }

    pub(super) fn rooms(&self) -> &Rooms {
        &self.0.rooms
    }

    pub(super) fn next_ack_id(&self) -> u64 {
        self.0.next_ack_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn recovery(&self) -> Option<&Arc<dyn Recovery>> {
        self.0.recovery.get()
    }

    /// Under the lock a socket that is closed already does not take the place of the one that has its id now.
    pub(super) fn insert(&self, socket: Socket) {
        let mut sockets = self.0.sockets.write();
        if !socket.is_open() {
            return;
        }
        sockets.insert(*socket.id(), socket);
        let first = sockets.len() == 1;
        drop(sockets);
        if first && let Some(adapter) = &self.0.adapter {
            adapter.room_changed(self, None);
        }
    }

    /// Its id may be another socket's by now, which stays.
    pub(super) fn remove(&self, socket: &Socket) {
        let mut sockets = self.0.sockets.write();
        if sockets.get(socket.id()) == Some(socket) {
            sockets.swap_remove(socket.id());
            let empty = sockets.is_empty();
            drop(sockets);
            if empty && let Some(adapter) = &self.0.adapter {
                adapter.room_changed(self, None);
            }
        }
    }

    /// Calls `f` for each socket, under a shared lock: `f` must not connect or disconnect any.
    pub(super) fn for_each(&self, f: impl FnMut(&Socket)) {
        self.0.sockets.read().values().for_each(f);
    }
}

impl std::fmt::Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Namespace").field(&self.name()).finish()
    }
}
