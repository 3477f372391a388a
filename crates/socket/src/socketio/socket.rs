//! A client's connection to one namespace.

use std::{
    any::Any,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use roomful_wire::packet::Payload;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use smallvec::SmallVec;
use tokio::sync::mpsc;

use super::{
    Namespace, Phase, Socket, SocketInner, SocketState,
    ack::{AckError, Pending, decode},
    broadcast::Broadcast,
    emit_error::{EmitError, check_name},
    join::Joined,
    memory_recovery::Recipients,
    recovery::{PrivateId, Restored},
};
use crate::{
    engine::{DeliveryMark, Session},
    handshake::Handshake,
    id::SocketId,
    outbox::{Class, Sent},
    prepared::Prepared,
    reason::Reason,
};

impl Socket {
    pub(super) fn new(namespace: Namespace, session: Arc<Session>, auth: Option<Box<RawValue>>) -> Self {
        Socket(Arc::new(SocketInner {
            id: SocketId::random(),
            kept_id: OnceLock::new(),
            namespace,
            session,
            phase: AtomicU8::new(Phase::Connecting as u8),
            socket_state: Mutex::new(SocketState {
                auth,
                rooms: SmallVec::new(),
                left: None,
            }),
            pending: Pending::default(),
            state: OnceLock::new(),
        }))
    }

    /// The public id: new for each connection and namespace. A recovered session keeps its id, from the
    /// connect handler on.
    pub fn id(&self) -> &SocketId {
        self.0.kept_id.get().unwrap_or(&self.0.id)
    }

    /// Whether a session was recovered. Valid from the connect handler on.
    pub fn recovered(&self) -> bool {
        self.0.kept_id.get().is_some()
    }

    /// The socket's namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// The current transport: `polling` or `websocket`.
    pub fn transport(&self) -> &'static str {
        if self.0.session.is_polling() {
            "polling"
        } else {
            "websocket"
        }
    }

    /// The HTTP request that opened the connection.
    pub fn handshake(&self) -> &Handshake {
        self.0.session.handshake()
    }

    /// The `auth` object that the client sent for this namespace, as JSON. `None` if there was none or
    /// after [`Socket::take_auth`].
    pub fn auth(&self) -> Option<Box<RawValue>> {
        self.0.socket_state.lock().auth.clone()
    }

    /// Takes the `auth` object, so that its secrets do not stay in memory.
    pub fn take_auth(&self) -> Option<Box<RawValue>> {
        self.0.socket_state.lock().auth.take()
    }

    /// Whether the socket is connected: it has passed the middleware and has not disconnected.
    pub fn is_connected(&self) -> bool {
        self.phase() == Phase::Connected && self.0.session.is_open()
    }

    /// Whether an event may still reach the client. Also true while the middleware runs.
    pub fn is_open(&self) -> bool {
        self.phase() != Phase::Gone && self.0.session.is_open()
    }

    /// Attaches a value of the application. Only the first call has an effect; later calls return `false`.
    pub fn set_state<T: Any + Send + Sync>(&self, state: T) -> bool {
        self.0.state.set(Arc::new(state)).is_ok()
    }

    /// The value from [`Socket::set_state`], if it has this type.
    pub fn state<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.state.get()?.clone().downcast().ok()
    }

    /// Sends an event with one argument.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<Sent, EmitError> {
        self.emit_payload(event, &Payload::one(data)?)
    }

    /// Sends an event whose arguments are the elements of a tuple: `socket.emit_args("move", &(x, y))`.
    pub fn emit_args<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<Sent, EmitError> {
        self.emit_payload(event, &Payload::args(args)?)
    }

    /// Sends an event with any number of arguments, including binary ones.
    pub fn emit_payload(&self, event: &str, payload: &Payload) -> Result<Sent, EmitError> {
        check_name(event)?;
        if let Some(memory) = self.namespace().memory_recovery() {
            let recipients = Recipients {
                rooms: SmallVec::from_iter([Arc::from(self.id().as_str())]),
                ..Recipients::default()
            };
            let name = self.namespace().name();
            return Ok(memory.emit(name, event, payload, recipients, |event| {
                self.send_prepared(event, Class::Durable)
            }));
        }
        let event = Prepared::event(self.namespace().name(), event, None, payload);
        Ok(self.send_prepared(&event, Class::Durable))
    }

    /// Sends an event encoded by this namespace's [`Namespace::prepare`].
    pub fn send_prepared(&self, event: &Prepared, class: Class) -> Sent {
        if self.phase() == Phase::Connected {
            if let Some(outgoing) = self.namespace().handlers().outgoing() {
                outgoing.observe(self, event);
            }
            self.0.session.send(event, class)
        } else {
            Sent::Closed
        }
    }

    /// The bytes in the client's outbox: queued, and not yet given to the operating system.
    pub fn queued_bytes(&self) -> usize {
        self.0.session.queued_bytes()
    }

    /// Waits until the client's outbox is at most half full, or the connection has ended. Use it to send
    /// much data in pieces without skipping any.
    pub async fn has_room(&self) {
        std::future::poll_fn(|cx| self.0.session.poll_room(cx)).await;
    }

    /// A mark for everything queued so far, for [`Socket::is_delivered`].
    pub fn delivery_mark(&self) -> DeliveryMark {
        self.0.session.delivery_mark()
    }

    /// Whether all frames queued before this mark have certainly arrived. Proof is the pong to a later
    /// ping, or the client's own close; a lost connection leaves the latest frames unknown. Ask after
    /// [`Socket::wait_closed`]: a connection that ends temporarily sends a final ping.
    pub fn is_delivered(&self, mark: DeliveryMark) -> bool {
        self.0.session.is_delivered(mark)
    }

    /// Waits until no more bytes can be sent or received on the connection. A connection that the server
    /// ends still flushes its outbox after the socket has left its namespace.
    pub async fn wait_closed(&self) {
        std::future::poll_fn(|cx| self.0.session.poll_closed(cx)).await;
    }

    /// Sends an event with one argument and waits for the client's answer, whose first argument is a `T`.
    ///
    /// ```no_run
    /// # async fn ask(socket: roomful_socket::Socket) -> Result<(), roomful_socket::AckError> {
    /// let timeout = std::time::Duration::from_secs(5);
    /// let name = socket.emit_with_ack::<String>("what is your name?", "politely", timeout).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: &(impl Serialize + ?Sized),
        timeout: Duration,
    ) -> Result<T, AckError> {
        let payload = Payload::one(data).map_err(|_| AckError::Unsendable)?;
        decode(&self.emit_payload_with_ack(event, &payload, timeout).await?)
    }

    /// Like [`Socket::emit_with_ack`], with any number of arguments in both directions, including binary
    /// ones. See [`Payload::args`] and [`Payload::to_args`].
    pub async fn emit_payload_with_ack(
        &self,
        event: &str,
        payload: &Payload,
        timeout: Duration,
    ) -> Result<Payload, AckError> {
        check_name(event).map_err(|_| AckError::Unsendable)?;
        let id = self.namespace().next_ack_id();
        let (answers, mut answer) = mpsc::channel(1);
        if !self
            .0
            .pending
            .expect(id, answers, self.0.session.settings().max_pending_acks)
        {
            return Err(AckError::TooMany);
        }
        let pending_ack = PendingAck { socket: self, id };
        let event = Prepared::event(self.namespace().name(), event, Some(id), payload);
        if self.send_prepared(&event, Class::Durable) == Sent::Closed {
            return Err(AckError::Disconnected);
        }
        let outcome = tokio::time::timeout(timeout, answer.recv()).await;
        drop(pending_ack);
        match outcome {
            Ok(Some((_, payload))) => Ok(payload),
            Ok(None) => Err(AckError::Disconnected),
            Err(_) => Err(AckError::Timeout),
        }
    }

    /// Counts an event of this client that the application has refused, with its size in bytes. Closes the
    /// connection if there are too many refused events or bytes in a window, see
    /// [`crate::Settings::refusal_window`].
    pub fn count_refused(&self, bytes: usize) {
        self.0.session.count_refused(bytes);
    }

    /// Selects all other sockets of the namespace.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(self.namespace().clone()).except_socket(*self.id())
    }

    /// Selects the other members of `room`.
    pub fn to(&self, room: &str) -> Broadcast {
        self.broadcast().to(room)
    }

    /// Selects all other sockets outside `room`.
    pub fn except(&self, room: &str) -> Broadcast {
        self.broadcast().except(room)
    }

    /// Joins a generic room. Also possible in the middleware.
    pub fn join(&self, room: &str) -> Joined {
        let mut socket_state = self.0.socket_state.lock();
        if self.phase() == Phase::Gone {
            return Joined::Disconnected;
        }
        if socket_state.rooms.len() >= self.0.session.settings().max_rooms {
            let is_member = socket_state.rooms.iter().any(|name| **name == *room);
            return if is_member {
                Joined::Already
            } else {
                Joined::TooManyRooms
            };
        }
        match self.namespace().join(room, self) {
            Some(name) => {
                socket_state.rooms.push(name);
                Joined::New
            }
            None => Joined::Already,
        }
    }

    /// Leaves a generic room.
    pub fn leave(&self, room: &str) {
        let mut socket_state = self.0.socket_state.lock();
        socket_state.rooms.retain(|name| &**name != room);
        self.namespace().leave(room, self);
    }

    /// The generic rooms of the socket. None after it has left: see [`Namespace::on_disconnecting`].
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.0.socket_state.lock().rooms.to_vec()
    }

    /// Sends a DISCONNECT packet for this namespace, and with `close_transport` closes the connection. The
    /// stock client does not reconnect by itself, so use this for final ends and [`Socket::close`] for
    /// temporary ones.
    pub fn disconnect(&self, close_transport: bool) {
        self.send_prepared(&Prepared::disconnect(self.namespace().name()), Class::Durable);
        self.leave_namespace(Reason::ServerNamespaceDisconnect);
        if close_transport {
            self.0.session.end(Reason::ServerNamespaceDisconnect);
        } else {
            self.0.session.request_poll();
        }
    }

    /// Ends the client's connection. For a temporary reason, stock clients reconnect by themselves; see
    /// [`Reason`].
    pub fn close(&self, reason: Reason) {
        self.0.session.end(reason);
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.0.session
    }

    pub(super) fn pending(&self) -> &Pending {
        &self.0.pending
    }

    pub(super) fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Acquire) {
            0 => Phase::Connecting,
            1 => Phase::Connected,
            _ => Phase::Gone,
        }
    }

    /// Enters the namespace after the middleware. The CONNECT answer is queued before any other event.
    /// `false` if the socket has disconnected meanwhile.
    pub(super) fn enter_namespace(&self, pid: Option<&PrivateId>) -> bool {
        // Held to the end, so that a disconnect happens entirely before or after.
        let socket_state = self.0.socket_state.lock();
        self.enter(&socket_state, pid, &[])
    }

    /// Like [`Socket::enter_namespace`], with a recovered session. The missed events precede the CONNECT
    /// answer, as the client expects.
    pub(super) fn enter_recovered(&self, pid: &PrivateId, restored: &Restored) -> bool {
        let mut socket_state = self.0.socket_state.lock();
        self.keep_id(&mut socket_state, restored.sid);
        self.enter(&socket_state, Some(pid), &restored.missed)
    }

    fn enter(&self, _life: &SocketState, pid: Option<&PrivateId>, missed: &[Prepared]) -> bool {
        if self.phase() != Phase::Connecting {
            return false;
        }
        self.0.phase.store(Phase::Connected as u8, Ordering::Release);
        // Before the CONNECT answer, after which the client may send large messages.
        self.0.session.set_established(true);
        let pid = pid.map(PrivateId::as_str);
        let connect = Prepared::connect(self.namespace().name(), self.id().as_str(), pid);
        // One message, so that the outbox takes all or none.
        let packets = Prepared::concat(missed.iter().chain([&connect]));
        self.send_prepared(&packets, Class::Durable);
        self.namespace().insert(self.clone());
        true
    }

    /// Adopts the id of the recovered session, also in the rooms joined so far.
    fn keep_id(&self, socket_state: &mut SocketState, id: SocketId) {
        let namespace = self.namespace();
        for room in &socket_state.rooms {
            namespace.leave(room, self);
        }
        // Set only here, once per socket.
        let _ = self.0.kept_id.set(id);
        for room in &mut socket_state.rooms {
            if let Some(name) = namespace.join(room, self) {
                *room = name;
            }
        }
    }

    /// Leaves the namespace at once; the disconnect handler follows in order. A socket that is still in the
    /// middleware will not enter. Further calls have no effect.
    pub(super) fn leave_namespace(&self, reason: Reason) {
        let rooms = {
            let mut socket_state = self.0.socket_state.lock();
            let before = self.phase();
            if before == Phase::Gone {
                return;
            }
            self.0.phase.store(Phase::Gone as u8, Ordering::Release);
            // No disconnect event without a connect event.
            socket_state.left = (before == Phase::Connected).then_some(reason);
            if before == Phase::Connected {
                // The handlers and the recovery may look at the rooms, and do so without the lock.
                drop(socket_state);
                self.disconnecting(reason);
                socket_state = self.0.socket_state.lock();
            }
            std::mem::take(&mut socket_state.rooms)
        };
        self.namespace().remove(self);
        for room in rooms {
            self.namespace().leave(&room, self);
        }
        self.0.pending.clear();
    }

    /// Runs while the socket is still in its rooms.
    fn disconnecting(&self, reason: Reason) {
        if let Some(memory) = self.namespace().memory_recovery() {
            memory.keep(*self.id(), self.rooms(), self.0.state.get().cloned(), reason);
        }
        self.namespace().handlers().disconnecting(self, reason);
    }

    /// Restores the application's value of a recovered session, unless the middleware has set one.
    pub(super) fn restore_state(&self, state: Option<Arc<dyn Any + Send + Sync>>) {
        if let Some(state) = state {
            // A value that is set stays.
            let _ = self.0.state.set(state);
        }
    }

    /// Takes the reason why the socket left. `None` on further calls.
    pub(super) fn take_left(&self) -> Option<Reason> {
        self.0.socket_state.lock().left.take()
    }

    /// Removes a socket that the middleware refused from the rooms it has joined.
    pub(super) fn refuse(&self) {
        let rooms = {
            let mut socket_state = self.0.socket_state.lock();
            self.0.phase.store(Phase::Gone as u8, Ordering::Release);
            std::mem::take(&mut socket_state.rooms)
        };
        for room in rooms {
            self.namespace().leave(&room, self);
        }
        if let Some(memory) = self.namespace().memory_recovery() {
            memory.forget(*self.id());
        }
    }
}

/// Forgets an expected answer when its waiting future ends or is dropped.
struct PendingAck<'a> {
    socket: &'a Socket,
    id: u64,
}

impl Drop for PendingAck<'_> {
    fn drop(&mut self) {
        self.socket.0.pending.forget(self.id);
    }
}
