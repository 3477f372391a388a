//! Sending to many: which sockets, how, and what.

use std::{collections::HashSet, sync::Arc, time::Duration};

use roomful_wire::packet::Payload;
use serde::Serialize;
use smallvec::SmallVec;
use tokio::{sync::mpsc, time::Instant};

use super::{
    ack::AckError,
    namespace::Namespace,
    socket::{EmitError, Socket, check_name},
};
use crate::{
    id::SocketId,
    outbox::{Class, Sent},
    prepared::Prepared,
};

/// How long [`Broadcast::emit_with_ack`] waits unless told otherwise.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// A choice of sockets and a way to send to them. Made by [`Namespace::to`], [`Socket::to`] and the like.
#[derive(Debug, Clone)]
#[must_use = "a broadcast does nothing until something is sent"]
pub struct Broadcast {
    namespace: Namespace,
    rooms: SmallVec<[Arc<str>; 1]>,
    except: SmallVec<[Arc<str>; 1]>,
    except_socket: Option<SocketId>,
    class: Class,
    timeout: Duration,
}

impl Broadcast {
    pub(super) fn new(namespace: Namespace) -> Self {
        Broadcast {
            namespace,
            rooms: SmallVec::new(),
            except: SmallVec::new(),
            except_socket: None,
            class: Class::Durable,
            timeout: ACK_TIMEOUT,
        }
    }

    pub(super) fn except_socket(mut self, id: SocketId) -> Self {
        self.except_socket = Some(id);
        self
    }

    /// Also to those in `room`; a socket in several of the rooms gets it once. A socket's id is the name of a room that
    /// it is alone in.
    pub fn to(mut self, room: &str) -> Self {
        self.rooms.push(room.into());
        self
    }

    /// But not to those in `room`.
    pub fn except(mut self, room: &str) -> Self {
        self.except.push(room.into());
        self
    }

    /// Only to those who are ready for it: it is dropped for a client that is behind, or between two polls.
    pub fn volatile(mut self) -> Self {
        self.class = Class::Volatile;
        self
    }

    /// As the newest state of the thing that `key` names; see [`Class::Latest`].
    pub fn latest(mut self, key: u64) -> Self {
        self.class = Class::Latest(key);
        self
    }

    /// Only to sockets of this node.
    pub fn local(self) -> Self {
        // One node is all there is so far: every broadcast is local.
        self
    }

    /// How long [`Broadcast::emit_with_ack`] waits for answers (10 s).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    // ---- sending

    /// Sends an event with one argument; says to how many sockets it is on its way.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<usize, EmitError> {
        self.emit_payload(event, &Payload::one(data)?)
    }

    /// Sends an event with any number of arguments, binary ones too.
    pub fn emit_payload(&self, event: &str, payload: &Payload) -> Result<usize, EmitError> {
        check_name(event)?;
        let event = Prepared::event(self.namespace.name(), event, None, payload);
        let mut sent = 0;
        self.for_each(|socket| sent += usize::from(socket.send_prepared(&event, self.class) == Sent::Queued));
        Ok(sent)
    }

    /// Sends an event and waits for each client's answer, at most [`Broadcast::timeout`] long. The order of the
    /// answers is that of their coming; those who did not answer come last.
    pub async fn emit_with_ack<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
    ) -> Result<Vec<(SocketId, Result<Payload, AckError>)>, EmitError> {
        check_name(event)?;
        let payload = Payload::one(data)?;
        // One id for all, so that the event is encoded once.
        let id = self.namespace.next_ack_id();
        let event = Prepared::event(self.namespace.name(), event, Some(id), &payload);
        let targets = self.sockets();
        let (answers, mut received) = mpsc::channel(targets.len().max(1));
        let mut outcomes = Vec::with_capacity(targets.len());
        let mut waiting: HashSet<SocketId> = HashSet::with_capacity(targets.len());
        for socket in &targets {
            if !socket
                .pending()
                .expect(id, answers.clone(), socket.session().settings().max_pending_acks)
            {
                outcomes.push((*socket.id(), Err(AckError::TooMany)));
            } else if socket.send_prepared(&event, Class::Durable) == Sent::Closed {
                outcomes.push((*socket.id(), Err(AckError::Disconnected)));
            } else {
                waiting.insert(*socket.id());
            }
        }
        drop(answers);
        let owed = AllOwed {
            targets: &targets,
            id,
        };
        let deadline = Instant::now() + self.timeout;
        let mut late = AckError::Timeout;
        while !waiting.is_empty() {
            match tokio::time::timeout_at(deadline, received.recv()).await {
                Ok(Some((from, payload))) => {
                    waiting.remove(&from);
                    outcomes.push((from, Ok(payload)));
                }
                Ok(None) => {
                    late = AckError::Disconnected;
                    break;
                }
                Err(_) => break,
            }
        }
        drop(owed);
        outcomes.extend(waiting.into_iter().map(|id| {
            let left = self.namespace.socket(&id).is_none();
            (id, Err(if left { AckError::Disconnected } else { late }))
        }));
        Ok(outcomes)
    }

    // ---- other things to do to many

    /// The chosen sockets.
    pub fn sockets(&self) -> Vec<Socket> {
        let mut sockets = Vec::new();
        self.for_each(|socket| sockets.push(socket.clone()));
        sockets
    }

    /// Puts them all into a room.
    pub fn join(&self, room: &str) {
        for socket in self.sockets() {
            socket.join(room);
        }
    }

    /// Takes them all out of a room.
    pub fn leave(&self, room: &str) {
        for socket in self.sockets() {
            socket.leave(room);
        }
    }

    /// Disconnects them all; see [`Socket::disconnect`].
    pub fn disconnect(&self, close_transport: bool) {
        for socket in self.sockets() {
            socket.disconnect(close_transport);
        }
    }

    fn for_each(&self, mut f: impl FnMut(&Socket)) {
        let excepted = self.excepted();
        let mut visit = |socket: &Socket| {
            if !excepted.contains(socket.id()) {
                f(socket);
            }
        };
        match self.rooms.as_slice() {
            [] => self.namespace.for_each(visit),
            [room] => self.in_room(room, &mut visit),
            rooms => {
                let mut seen = HashSet::new();
                for room in rooms {
                    self.in_room(room, &mut |socket: &Socket| {
                        if seen.insert(*socket.id()) {
                            visit(socket);
                        }
                    });
                }
            }
        }
    }

    fn in_room(&self, room: &str, visit: &mut impl FnMut(&Socket)) {
        match SocketId::parse(room).and_then(|id| self.namespace.socket(&id)) {
            Some(socket) => visit(&socket),
            None => self.namespace.rooms().for_each(room, visit),
        }
    }

    /// Collected first: looking into one room while walking another could wait for itself.
    fn excepted(&self) -> HashSet<SocketId> {
        let mut excepted: HashSet<SocketId> = self.except_socket.into_iter().collect();
        for room in &self.except {
            excepted.extend(SocketId::parse(room));
            self.namespace.rooms().for_each(room, |socket| {
                excepted.insert(*socket.id());
            });
        }
        excepted
    }
}

/// Forgets the expected answers of a broadcast, also if the waiting future is dropped.
struct AllOwed<'a> {
    targets: &'a [Socket],
    id: u64,
}

impl Drop for AllOwed<'_> {
    fn drop(&mut self) {
        for socket in self.targets {
            socket.pending().forget(self.id);
        }
    }
}
