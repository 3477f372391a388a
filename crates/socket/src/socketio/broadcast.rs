//! Sending to many: which sockets, how, and what.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use roomful_wire::packet::Payload;
use serde::Serialize;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    ack::AckError,
    adapter::{Act, Adapter, Choice, FetchError, RemoteSocket},
    gather::gather,
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

/// A choice of sockets and a way to send to them, in a cluster on all nodes: best effort, as with Socket.IO's Redis adapter,
/// since the bus between the nodes may lose messages. Made by [`Namespace::to`], [`Socket::to`] and the like.
#[derive(Debug, Clone)]
#[must_use = "a broadcast does nothing until something is sent"]
pub struct Broadcast {
    namespace: Namespace,
    rooms: SmallVec<[Arc<str>; 1]>,
    except: SmallVec<[Arc<str>; 1]>,
    except_socket: Option<SocketId>,
    class: Class,
    timeout: Duration,
    local: bool,
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
            local: false,
        }
    }

    /// What another node has chosen, here.
    pub(super) fn of_choice(namespace: Namespace, choice: &Choice) -> Self {
        let names = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        Broadcast {
            rooms: names(&choice.rooms),
            except: names(&choice.except),
            except_socket: choice.except_socket.as_deref().and_then(SocketId::parse),
            ..Self::new(namespace).local()
        }
    }

    fn choice(&self) -> Choice {
        let names = |names: &[Arc<str>]| names.iter().map(ToString::to_string).collect();
        Choice {
            rooms: names(&self.rooms),
            except: names(&self.except),
            except_socket: self.except_socket.map(|id| id.as_str().to_owned()),
        }
    }

    /// The way to the other nodes, if they are meant too.
    fn beyond(&self) -> Option<&Arc<Adapter>> {
        self.namespace.adapter().filter(|_| !self.local)
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
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// How long [`Broadcast::emit_with_ack`] and [`Broadcast::fetch_sockets`] wait for answers (10 s).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    // ---- sending

    /// Sends an event with one argument; says to how many sockets of this node it is on its way.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<usize, EmitError> {
        self.emit_payload(event, &Payload::one(data)?)
    }

    /// Sends an event with any number of arguments, binary ones too.
    pub fn emit_payload(&self, event: &str, payload: &Payload) -> Result<usize, EmitError> {
        check_name(event)?;
        let event = Prepared::event(self.namespace.name(), event, None, payload);
        if let Some(adapter) = self.beyond() {
            adapter.emit(&self.namespace, self.choice(), self.class, &event);
        }
        Ok(self.send_here(&event, self.class))
    }

    pub(super) fn send_here(&self, event: &Prepared, class: Class) -> usize {
        let mut sent = 0;
        self.for_each(|socket| sent += usize::from(socket.send_prepared(event, class) == Sent::Queued));
        sent
    }

    /// Sends an event and waits for each client's answer, at most [`Broadcast::timeout`] long. The order of the
    /// answers is that of their coming; those of a node who did not answer come last. The sockets of a node that leaves the
    /// cluster, or whose lease ends, count as disconnected at once; of a node that does not answer at all nothing is known.
    pub async fn emit_with_ack<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
    ) -> Result<Vec<(SocketId, Result<Payload, AckError>)>, EmitError> {
        check_name(event)?;
        let payload = Payload::one(data)?;
        // One id for all, so that the event is encoded once.
        let id = match self.beyond() {
            None => self.namespace.next_ack_id(),
            Some(_) => Adapter::ack_id(),
        };
        let event = Prepared::event(self.namespace.name(), event, Some(id), &payload);
        let targets = self.sockets();
        let deadline = Instant::now() + self.timeout;
        let Some(adapter) = self.beyond() else {
            let mut outcomes = Vec::with_capacity(targets.len());
            let tell = |id, outcome| outcomes.push((id, outcome));
            gather(&self.namespace, &targets, id, &event, deadline, tell).await;
            return Ok(outcomes);
        };
        let outcomes = Mutex::new(Vec::with_capacity(targets.len()));
        let tell = |id, outcome| outcomes.lock().push((id, outcome));
        let here = gather(&self.namespace, &targets, id, &event, deadline, tell);
        let there = adapter.ask(&self.namespace, self.choice(), id, &event, deadline, tell);
        tokio::join!(here, there);
        Ok(outcomes.into_inner())
    }

    // ---- other things to do to many

    /// The chosen sockets of this node.
    pub fn sockets(&self) -> Vec<Socket> {
        let mut sockets = Vec::new();
        self.for_each(|socket| sockets.push(socket.clone()));
        sockets
    }

    /// The chosen sockets of all nodes that are alive. Each is asked again until it answers, at most
    /// [`Broadcast::timeout`] long.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, FetchError> {
        let mut found: Vec<_> = self.sockets().iter().map(RemoteSocket::own).collect();
        if let Some(adapter) = self.beyond() {
            let deadline = Instant::now() + self.timeout;
            found.extend(adapter.fetch(&self.namespace, self.choice(), deadline).await?);
        }
        Ok(found)
    }

    /// Puts them all into a room.
    pub fn join(&self, room: &str) {
        self.act_beyond(|| Act::Join(room.to_owned()));
        for socket in self.sockets() {
            socket.join(room);
        }
    }

    /// Takes them all out of a room.
    pub fn leave(&self, room: &str) {
        self.act_beyond(|| Act::Leave(room.to_owned()));
        for socket in self.sockets() {
            socket.leave(room);
        }
    }

    /// Disconnects them all; see [`Socket::disconnect`].
    pub fn disconnect(&self, close_transport: bool) {
        self.act_beyond(|| Act::Disconnect(close_transport));
        for socket in self.sockets() {
            socket.disconnect(close_transport);
        }
    }

    fn act_beyond(&self, act: impl FnOnce() -> Act) {
        if let Some(adapter) = self.beyond() {
            adapter.act(&self.namespace, self.choice(), act());
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
