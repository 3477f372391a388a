//! One client in one namespace.

use std::{
    any::Any,
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use roomful_wire::{packet::Payload, parser};
use serde::Serialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;
use tokio::sync::mpsc;

use super::{
    ack::{AckError, Pending},
    broadcast::Broadcast,
    namespace::Namespace,
};
use crate::{
    engine::{SentMark, Session},
    handshake::Handshake,
    id::SocketId,
    outbox::{Class, Sent},
    prepared::Prepared,
    reason::Reason,
    recovery::{PrivateId, Restored},
};

/// A client in a namespace. Clones are the same socket.
#[derive(Clone)]
pub struct Socket(Arc<Inner>);

struct Inner {
    id: SocketId,
    /// The id of the session that it took up again.
    kept_id: OnceLock<SocketId>,
    namespace: Namespace,
    session: Arc<Session>,
    phase: AtomicU8,
    life: Mutex<Life>,
    pending: Pending,
    state: OnceLock<Arc<dyn Any + Send + Sync>>,
}

struct Life {
    auth: Option<Box<RawValue>>,
    rooms: SmallVec<[Arc<str>; 1]>,
    /// Why it left, until its connection has seen that.
    left: Option<Reason>,
}

/// Where a socket stands. Kept outside the lock on [`Life`]: it is read while rooms are locked, and joining a room
/// locks in the other order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Middleware is at work.
    Connecting,
    Connected,
    /// Left, or never let in.
    Gone,
}

/// Why an event was not sent.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// The name belongs to Socket.IO itself.
    #[error("the event name {0:?} is reserved by Socket.IO; use another one")]
    Reserved(String),
    /// The data can't be JSON, for example a map whose keys are no strings.
    #[error("the event's data can't be JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Socket {
    pub(super) fn new(namespace: Namespace, session: Arc<Session>, auth: Option<Box<RawValue>>) -> Self {
        Socket(Arc::new(Inner {
            id: SocketId::random(),
            kept_id: OnceLock::new(),
            namespace,
            session,
            phase: AtomicU8::new(Phase::Connecting as u8),
            life: Mutex::new(Life {
                auth,
                rooms: SmallVec::new(),
                left: None,
            }),
            pending: Pending::default(),
            state: OnceLock::new(),
        }))
    }

    /// The public id: fresh for each connection and namespace, unless a session is taken up again; then it is that of
    /// the session, from the connect handler on.
    pub fn id(&self) -> &SocketId {
        self.0.kept_id.get().unwrap_or(&self.0.id)
    }

    /// Was a session taken up again? Known from the connect handler on.
    pub fn recovered(&self) -> bool {
        self.0.kept_id.get().is_some()
    }

    /// The namespace it is in.
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// The HTTP request that opened the connection.
    pub fn handshake(&self) -> &Handshake {
        self.0.session.handshake()
    }

    /// The `auth` object that the client sent for this namespace, as JSON; `None` without one or after
    /// [`Socket::take_auth`].
    pub fn auth(&self) -> Option<Box<RawValue>> {
        self.0.life.lock().auth.clone()
    }

    /// Takes the `auth` object, so that a secret in it does not stay in memory for the life of the connection.
    pub fn take_auth(&self) -> Option<Box<RawValue>> {
        self.0.life.lock().auth.take()
    }

    /// Is it connected, that is: past the middleware and not disconnected?
    pub fn is_connected(&self) -> bool {
        self.phase() == Phase::Connected && self.0.session.is_open()
    }

    /// May something sent still reach the client? Also true while the middleware is at work.
    pub fn is_open(&self) -> bool {
        self.phase() != Phase::Gone && self.0.session.is_open()
    }

    /// Puts the application's own value with the socket. Only the first call counts; `false` says it was not.
    pub fn set_state<T: Any + Send + Sync>(&self, state: T) -> bool {
        self.0.state.set(Arc::new(state)).is_ok()
    }

    /// The value from [`Socket::set_state`], if it is of this type.
    pub fn state<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.state.get()?.clone().downcast().ok()
    }

    // ---- out

    /// Sends an event with one argument.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<Sent, EmitError> {
        self.emit_payload(event, &Payload::one(data)?)
    }

    /// Sends an event with any number of arguments, binary ones too.
    pub fn emit_payload(&self, event: &str, payload: &Payload) -> Result<Sent, EmitError> {
        check_name(event)?;
        let event = Prepared::event(self.namespace().name(), event, None, payload);
        Ok(self.send_prepared(&event, Class::Durable))
    }

    /// Sends what was encoded by this namespace's [`Namespace::prepare`].
    pub fn send_prepared(&self, event: &Prepared, class: Class) -> Sent {
        if self.phase() == Phase::Connected {
            self.0.session.send(event, class)
        } else {
            Sent::Closed
        }
    }

    /// Waits until at most half of what may wait for the client does, or the connection has ended: for whoever has
    /// much to send that must not be skipped, a piece at a time.
    pub async fn has_room(&self) {
        std::future::poll_fn(|cx| self.0.session.poll_room(cx)).await;
    }

    /// A mark for what was queued up to now, to ask [`Socket::has_reached`] with later.
    pub fn sent_mark(&self) -> SentMark {
        self.0.session.sent_mark()
    }

    /// Is it known that what was queued before this mark has arrived? A heartbeat that was answered tells, or the
    /// client's goodbye, or its answer to ours; so a connection that is lost leaves unknown what it carried of late. Ask
    /// when it is [over](Socket::is_over).
    pub fn has_reached(&self, mark: SentMark) -> bool {
        self.0.session.has_reached(mark)
    }

    /// Waits until nothing comes or goes on the connection any more: one that the server ends still sends what waits, and
    /// hears the client's goodbye, after the socket has left its namespace.
    pub async fn is_over(&self) {
        std::future::poll_fn(|cx| self.0.session.poll_over(cx)).await;
    }

    /// Sends an event and waits for the client's answer.
    pub async fn emit_with_ack<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
        timeout: Duration,
    ) -> Result<Payload, AckError> {
        let payload = Payload::one(data).map_err(|_| AckError::Unsendable)?;
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
        let owed = Owed { socket: self, id };
        let event = Prepared::event(self.namespace().name(), event, Some(id), &payload);
        if self.send_prepared(&event, Class::Durable) == Sent::Closed {
            return Err(AckError::Disconnected);
        }
        let outcome = tokio::time::timeout(timeout, answer.recv()).await;
        drop(owed);
        match outcome {
            Ok(Some((_, payload))) => Ok(payload),
            Ok(None) => Err(AckError::Disconnected),
            Err(_) => Err(AckError::Timeout),
        }
    }

    /// To everybody in the namespace but this socket.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(self.namespace().clone()).except_socket(*self.id())
    }

    /// To everybody in `room` but this socket.
    pub fn to(&self, room: &str) -> Broadcast {
        self.broadcast().to(room)
    }

    /// To everybody in the namespace but this socket and those in `room`.
    pub fn except(&self, room: &str) -> Broadcast {
        self.broadcast().except(room)
    }

    // ---- rooms

    /// Joins a generic room. `false`: it is in already, is not connected, or is in `max_rooms`.
    pub fn join(&self, room: &str) -> bool {
        let mut life = self.0.life.lock();
        let full = life.rooms.len() >= self.0.session.settings().max_rooms;
        if full || self.phase() == Phase::Gone {
            return false;
        }
        match self.namespace().join(room, self) {
            Some(name) => {
                life.rooms.push(name);
                true
            }
            None => false,
        }
    }

    /// Leaves a generic room.
    pub fn leave(&self, room: &str) {
        let mut life = self.0.life.lock();
        life.rooms.retain(|name| &**name != room);
        self.namespace().leave(room, self);
    }

    /// The generic rooms it is in.
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.0.life.lock().rooms.to_vec()
    }

    // ---- the end

    /// Tells the client that the server ends this namespace, and with `close_transport` the whole connection. The
    /// stock client does not come back by itself: for what is final. See [`Socket::close`] for what is not.
    pub fn disconnect(&self, close_transport: bool) {
        self.send_prepared(&Prepared::disconnect(self.namespace().name()), Class::Durable);
        self.leave_namespace(Reason::ServerNamespaceDisconnect);
        if close_transport {
            self.0.session.end(Reason::ServerNamespaceDisconnect);
        } else {
            self.0.session.nudge();
        }
    }

    /// Closes the client's connection. The stock client reconnects by itself.
    pub fn close(&self, reason: Reason) {
        self.0.session.end(reason);
    }

    // ---- for the connection and its namespace

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

    /// Middleware let it in: the client is told first, so that nothing can come before. `false`: it was disconnected
    /// meanwhile.
    pub(super) fn enter_namespace(&self, pid: Option<&PrivateId>) -> bool {
        // Held to the end, so that a disconnect comes before all of this or after it.
        let life = self.0.life.lock();
        self.enter(&life, pid, &[])
    }

    /// As [`Socket::enter_namespace`], with a session that it had. What it missed goes before the answer to CONNECT, as
    /// the client expects it.
    pub(super) fn enter_again(&self, pid: &PrivateId, restored: &Restored) -> bool {
        let mut life = self.0.life.lock();
        self.keep_id(&mut life, restored.sid);
        self.enter(&life, Some(pid), &restored.missed)
    }

    fn enter(&self, _life: &Life, pid: Option<&PrivateId>, missed: &[Prepared]) -> bool {
        if self.phase() != Phase::Connecting {
            return false;
        }
        self.0.phase.store(Phase::Connected as u8, Ordering::Release);
        let pid = pid.map(PrivateId::as_str);
        let connect = Prepared::connect(self.namespace().name(), self.id().as_str(), pid);
        // All in one, so that the outbox takes them all or none.
        let row = Prepared::row(missed.iter().chain([&connect]));
        self.send_prepared(&row, Class::Durable);
        self.namespace().insert(self.clone());
        true
    }

    /// Takes the session's id, also in the rooms that it is in by now.
    fn keep_id(&self, life: &mut Life, id: SocketId) {
        let namespace = self.namespace();
        for room in &life.rooms {
            namespace.leave(room, self);
        }
        // It is set here only, and a socket is let in once.
        let _ = self.0.kept_id.set(id);
        for room in &mut life.rooms {
            if let Some(name) = namespace.join(room, self) {
                *room = name;
            }
        }
    }

    /// Ends its part in the namespace at once; the disconnect handler follows in its turn. Whom the middleware is
    /// still looking at does not get in. A second call changes nothing.
    pub(super) fn leave_namespace(&self, reason: Reason) {
        let rooms = {
            let mut life = self.0.life.lock();
            let before = self.phase();
            if before == Phase::Gone {
                return;
            }
            self.0.phase.store(Phase::Gone as u8, Ordering::Release);
            // Without a connect there is no disconnect.
            life.left = (before == Phase::Connected).then_some(reason);
            std::mem::take(&mut life.rooms)
        };
        self.namespace().remove(self);
        for room in rooms {
            self.namespace().leave(&room, self);
        }
        self.0.pending.clear();
    }

    /// Why it left, told once.
    pub(super) fn take_left(&self) -> Option<Reason> {
        self.0.life.lock().left.take()
    }

    /// Middleware refused it. Rooms that middleware put it into are left.
    pub(super) fn refuse(&self) {
        let rooms = {
            let mut life = self.0.life.lock();
            self.0.phase.store(Phase::Gone as u8, Ordering::Release);
            std::mem::take(&mut life.rooms)
        };
        for room in rooms {
            self.namespace().leave(&room, self);
        }
    }
}

/// Forgets an expected answer when nobody waits for it any more, also if the waiting future is dropped.
struct Owed<'a> {
    socket: &'a Socket,
    id: u64,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        self.socket.0.pending.forget(self.id);
    }
}

pub(super) fn check_name(event: &str) -> Result<(), EmitError> {
    if parser::is_reserved(event) {
        Err(EmitError::Reserved(event.to_owned()))
    } else {
        Ok(())
    }
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
        // Not its id, which may change; equality is that of the place too.
        Arc::as_ptr(&self.0).hash(state);
    }
}
