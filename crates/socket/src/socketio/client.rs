//! The Socket.IO side of one connection: parses packets, keeps their order, and runs one handler at a time.

use std::{
    collections::VecDeque,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use roomful_wire::{
    packet::{Body, Packet, Payload},
    parser::Parser,
};
use serde_json::value::RawValue;
use smallvec::SmallVec;
use tokio::time::{Instant, timeout};

use super::{
    Phase, Socket,
    ack::AckSender,
    event::Event,
    handlers::{BoxFuture, Refusal},
    msgpack,
    namespaces::Namespaces,
    recovery::{PrivateId, RecoveryRequest, Restored},
};
use crate::{
    engine::{Connection, Incoming, Session},
    outbox::Class,
    prepared::Prepared,
    reason::Reason,
};

/// Queued work of a connection, in order.
enum Work {
    Connect {
        namespace: Box<str>,
        auth: Option<Box<RawValue>>,
    },
    Event {
        namespace: Box<str>,
        name: Box<str>,
        id: Option<u64>,
        payload: Payload,
    },
    Leave {
        namespace: Box<str>,
    },
    /// The WebSocket has taken the session over.
    Upgraded,
    /// The disconnect handler of a socket that has left.
    Left(Socket, Reason),
    /// The connection has ended: all sockets leave after their events have been handled.
    Closed(Reason),
}

/// The queue may grow to this multiple of [`crate::Settings::inbox_events`] while an ack of the client is
/// due.
const EVENTS_BEFORE_ANSWER: usize = 4;

pub(super) struct Client {
    namespaces: Arc<Namespaces>,
    session: Arc<Session>,
    parser: Parser,
    /// Most clients are in one namespace.
    sockets: SmallVec<[Socket; 1]>,
    queue: VecDeque<Work>,
    current: Option<BoxFuture<()>>,
    /// Bytes of the queued events.
    queued_bytes: usize,
    /// When the client must be in a namespace. `None` while it is.
    connect_by: Option<Instant>,
}

impl Client {
    pub(super) fn new(namespaces: Arc<Namespaces>, session: Arc<Session>) -> Self {
        let connect_by = Some(Instant::now() + session.settings().connect_timeout);
        session.set_established(false);
        Client {
            namespaces,
            session,
            parser: Parser::default(),
            sockets: SmallVec::new(),
            queue: VecDeque::new(),
            current: None,
            queued_bytes: 0,
            connect_by,
        }
    }

    fn accept(&mut self, packet: Packet) -> Result<(), Reason> {
        let namespace = packet.namespace;
        match packet.body {
            // Acks bypass the queue: a handler may be waiting for this one.
            Body::Ack { id, payload } => {
                let socket = self.find(&namespace).ok_or(Reason::ParseError)?;
                let expected = socket.pending().answer(id, *socket.id(), payload);
                // The answer to an event may come after its deadline.
                if !expected && !socket.namespace().has_used_ack_id(id) {
                    self.session.count_idle_packet();
                }
            }
            Body::Connect(auth) => {
                self.session.note_first_packet();
                self.queue.push_back(Work::Connect {
                    namespace: namespace.into(),
                    auth,
                });
            }
            Body::Event { name, id, payload } => {
                self.queued_bytes += payload.size();
                self.queue.push_back(Work::Event {
                    namespace: namespace.into(),
                    name,
                    id,
                    payload,
                });
            }
            Body::Disconnect => self.queue.push_back(Work::Leave {
                namespace: namespace.into(),
            }),
            Body::ConnectError(_) => return Err(Reason::ParseError),
        }
        Ok(())
    }

    fn find(&self, namespace: &str) -> Option<&Socket> {
        self.sockets
            .iter()
            .find(|socket| socket.namespace().name() == namespace)
    }

    /// Removes sockets that have left or were refused. Those that were connected get their disconnect
    /// handler.
    fn remove_disconnected(&mut self) {
        let Client {
            sockets,
            queue,
            namespaces,
            ..
        } = self;
        sockets.retain(|socket| {
            if socket.phase() != Phase::Gone {
                return true;
            }
            match socket.take_left() {
                Some(reason) => queue.push_front(Work::Left(socket.clone(), reason)),
                None => namespaces.release(socket.namespace()),
            }
            false
        });
    }

    /// Starts the next work item. Returns its future, if any.
    fn start(&mut self, work: Work) -> Option<BoxFuture<()>> {
        match work {
            Work::Connect { namespace, auth } => self.connect(&namespace, auth),
            Work::Event {
                namespace,
                name,
                id,
                payload,
            } => self.event(&namespace, name, id, payload),
            Work::Leave { namespace } => {
                self.session.note_client_close();
                match self.find(&namespace) {
                    Some(socket) => socket.leave_namespace(Reason::ClientNamespaceDisconnect),
                    None => self.session.end(Reason::ParseError),
                }
                None
            }
            Work::Upgraded => {
                let connected = self.sockets.iter().filter(|socket| socket.is_connected());
                connected.for_each(|socket| socket.namespace().handlers().upgraded(socket));
                None
            }
            Work::Closed(reason) => {
                self.sockets
                    .iter()
                    .for_each(|socket| socket.leave_namespace(reason));
                None
            }
            Work::Left(socket, reason) => {
                self.namespaces.release(socket.namespace());
                let handlers = Arc::clone(socket.namespace().handlers());
                handlers.start_disconnect(socket, reason)
            }
        }
    }

    fn connect(&mut self, namespace: &str, auth: Option<Box<RawValue>>) -> Option<BoxFuture<()>> {
        if !self.session.is_open() {
            return None;
        }
        if self.find(namespace).is_some() {
            self.session.end(Reason::ParseError);
            return None;
        }
        let refuse = |message: &str| {
            let error = Prepared::connect_error(namespace, message, None);
            self.session.refuse_connect(&error);
        };
        if self.sockets.len() >= self.session.settings().max_namespaces {
            refuse("Too many namespaces");
            return None;
        }
        let Some(found) = self.namespaces.enter(namespace) else {
            refuse("Invalid namespace");
            return None;
        };
        let request = match (found.recovery(), &auth) {
            (Some(_), Some(auth)) => RecoveryRequest::read(auth),
            _ => None,
        };
        let socket = Socket::new(found, self.session.clone(), auth);
        self.sockets.push(socket.clone());
        Some(Box::pin(admit(socket, request)))
    }

    fn event(
        &self,
        namespace: &str,
        name: Box<str>,
        id: Option<u64>,
        payload: Payload,
    ) -> Option<BoxFuture<()>> {
        let Some(socket) = self
            .find(namespace)
            .filter(|socket| socket.phase() == Phase::Connected)
        else {
            // An event before CONNECT or after the end.
            self.session.end(Reason::ParseError);
            return None;
        };
        let ack = id.map(|id| AckSender {
            socket: socket.clone(),
            id,
        });
        let event = Event::new(name, payload, ack);
        socket.namespace().handlers().start_event(socket.clone(), event)
    }

    /// Other events and other clients are not affected.
    fn report_panic(&self) {
        self.session.metrics().handler_panics.increment(1);
        tracing::error!("an event handler panicked; the connection continues");
    }

    fn watch_connect(&mut self) {
        let connected = self
            .sockets
            .iter()
            .any(|socket| socket.phase() == Phase::Connected);
        match (connected, self.connect_by) {
            (true, _) => self.connect_by = None,
            (false, None) => self.connect_by = Some(Instant::now() + self.session.settings().connect_timeout),
            _ => {}
        }
    }
}

/// How a client enters a namespace after the middleware.
enum Admission {
    /// With a recovered session.
    Recovered(RecoveryRequest, Restored),
    /// With a new session, and a private id if it can be recovered later.
    New(Option<PrivateId>),
}

/// Runs the middleware, then connects the socket or tells the client why not.
async fn admit(socket: Socket, request: Option<RecoveryRequest>) {
    let handlers = socket.namespace().handlers().clone();
    let admission = async {
        handlers.admit(&socket).await?;
        Ok::<_, Refusal>(admission(&socket, request).await)
    };
    // A panic in a check must not admit the client.
    let outcome = AssertUnwindSafe(admission).catch_unwind().await;
    match outcome {
        // Enter even if the connection was lost meanwhile: the disconnect handler then takes care of the
        // session.
        Ok(Ok(Admission::Recovered(request, restored))) => {
            if enter_recovered(&socket, &request, restored) {
                handlers.connected(socket).await;
            } else {
                if let Some(recovery) = socket.namespace().recovery() {
                    recovery.abandon(&socket);
                }
                send_disconnected_error(&socket);
            }
        }
        Ok(Ok(Admission::New(pid))) if socket.session().is_open() => {
            if socket.enter_namespace(pid.as_ref()) {
                handlers.connected(socket).await;
            } else {
                socket.refuse();
                send_disconnected_error(&socket);
            }
        }
        Ok(Ok(Admission::New(_))) => socket.refuse(),
        Ok(Err(refusal)) => {
            socket.refuse();
            let error =
                Prepared::connect_error(socket.namespace().name(), &refusal.message, refusal.data.as_ref());
            socket.session().refuse_connect(&error);
        }
        Err(_) => {
            socket.session().metrics().handler_panics.increment(1);
            tracing::error!("a connect middleware panicked; the client was refused");
            socket.refuse();
            let error = Prepared::connect_error(socket.namespace().name(), "Internal error", None);
            socket.session().refuse_connect(&error);
        }
    }
}

/// Waits until the client has read most of its outbox. Many large answers at once would overflow it, even if
/// the client reads as fast as it can. Ends the session of a client that does not read.
async fn wait_for_room(session: Arc<Session>) {
    let patience = session.settings().heartbeat.timeout;
    let room = poll_fn(|cx| session.poll_room(cx));
    if timeout(patience, room).await.is_err() {
        session.end(Reason::SlowConsumer);
    }
}

fn enter_recovered(socket: &Socket, request: &RecoveryRequest, restored: Restored) -> bool {
    let mut enter = |restored: &Restored| socket.enter_recovered(&request.pid, restored);
    match socket.namespace().recovery() {
        Some(recovery) => recovery.enter(socket, request, restored, &mut enter),
        None => enter(&restored),
    }
}

fn send_disconnected_error(socket: &Socket) {
    let error = Prepared::connect_error(socket.namespace().name(), "Disconnected by the server", None);
    socket.session().send(&error, Class::Durable);
}

async fn admission(socket: &Socket, request: Option<RecoveryRequest>) -> Admission {
    let Some(recovery) = socket.namespace().recovery() else {
        return Admission::New(None);
    };
    if let Some(request) = request
        && let Some(restored) = recovery.restore(socket, &request).await
    {
        return Admission::Recovered(request, restored);
    }
    let pid = PrivateId::random();
    Admission::New(recovery.begin(socket, &pid).then_some(pid))
}

impl Connection for Client {
    fn receive(&mut self, message: Incoming<'_>) -> Result<(), Reason> {
        let max_message = self.session.max_message();
        let limits = self.session.settings().parser_limits(max_message);
        let parsed = match message {
            Incoming::Text(text) => self.parser.text(&limits, text),
            Incoming::Binary(bytes) => {
                if self.sockets.is_empty()
                    && !self.parser.is_reconstructing()
                    && let Some(refusal) = msgpack::refuse(bytes)
                {
                    self.session.send(&Prepared::binary(&refusal), Class::Durable);
                    self.namespaces.log_msgpack(self.session.address());
                    return Err(Reason::UnsupportedParser);
                }
                self.parser.binary(&limits, bytes)
            }
        };
        match parsed {
            Ok(Some(packet)) => self.accept(packet),
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "failed to parse a Socket.IO packet");
                Err(Reason::ParseError)
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(current) = &mut self.current {
                match AssertUnwindSafe(current).catch_unwind().poll_unpin(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => self.report_panic(),
                }
                self.current = None;
            }
            self.remove_disconnected();
            self.watch_connect();
            if matches!(self.queue.front(), Some(Work::Event { .. })) && !self.session.has_room() {
                self.current = Some(Box::pin(wait_for_room(Arc::clone(&self.session))));
                continue;
            }
            let Some(work) = self.queue.pop_front() else {
                if self.queue.capacity() > 0 {
                    self.queue = VecDeque::new();
                }
                return Poll::Ready(());
            };
            if let Work::Event { payload, .. } = &work {
                self.queued_bytes -= payload.size();
            }
            // A closure may panic before it returns its future.
            let started = catch_unwind(AssertUnwindSafe(|| self.start(work)));
            self.current = started.unwrap_or_else(|_| {
                self.report_panic();
                None
            });
        }
    }

    fn is_saturated(&self) -> bool {
        let settings = self.session.settings();
        // The ack that a handler waits for may be behind other events, so read somewhat further.
        let owes = self.sockets.iter().any(|socket| !socket.pending().is_empty());
        let events = settings.inbox_events * if owes { EVENTS_BEFORE_ANSWER } else { 1 };
        self.queue.len() >= events || self.queued_bytes >= settings.max_payload
    }

    fn deadline(&self) -> Option<Instant> {
        self.connect_by
    }

    fn on_deadline(&mut self) -> Option<Reason> {
        self.connect_by = None;
        Some(Reason::ConnectTimeout)
    }

    fn buffered_bytes(&self) -> usize {
        self.parser.buffered_bytes()
    }

    fn upgraded(&mut self) {
        self.queue.push_back(Work::Upgraded);
    }

    fn closed(&mut self, reason: Reason) {
        // A handler that waits for an ack must notice the end now: the end is queued behind it.
        self.sockets.iter().for_each(|socket| socket.pending().clear());
        self.queue.push_back(Work::Closed(reason));
    }
}
