//! Broadcasts: a selection of sockets and the operations on them.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use roomful_wire::packet::Payload;
use serde::{Serialize, de::DeserializeOwned};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    Namespace, Socket,
    ack::{AckError, decode},
    collect_acks::collect_acks,
    emit_error::{EmitError, check_name},
    memory_recovery::Recipients,
    remote_nodes::{FetchError, RemoteNodes},
    remote_socket::RemoteSocket,
    selection::{Action, Selection},
};
use crate::{
    id::SocketId,
    outbox::{Class, Sent},
    prepared::Prepared,
};

/// Default time-out of [`Broadcast::emit_with_ack`].
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// A selection of sockets and a way to send to them. In a cluster it spans all nodes, best effort as with
/// Socket.IO's Redis adapter, since the bus may lose messages. Created by [`Namespace::to`], [`Socket::to`]
/// and similar methods.
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

    /// The local part of another node's selection.
    #[cfg(feature = "cluster")]
    pub(super) fn of_selection(namespace: Namespace, selection: &Selection) -> Self {
        let names = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        Broadcast {
            rooms: names(&selection.rooms),
            except: names(&selection.except),
            except_socket: selection.except_socket.as_deref().and_then(SocketId::parse),
            ..Self::new(namespace).local()
        }
    }

    fn selection(&self) -> Selection {
        let names = |names: &[Arc<str>]| names.iter().map(ToString::to_string).collect();
        Selection {
            rooms: names(&self.rooms),
            except: names(&self.except),
            except_socket: self.except_socket.map(|id| id.as_str().to_owned()),
        }
    }

    /// The other nodes, if they are included.
    fn remote_nodes(&self) -> Option<&Arc<dyn RemoteNodes>> {
        self.namespace.remote_nodes().filter(|_| !self.local)
    }

    pub(super) fn except_socket(mut self, id: SocketId) -> Self {
        self.except_socket = Some(id);
        self
    }

    /// Adds the members of `room`. A socket in several of the rooms gets the event once. Each socket's id
    /// names a room with only that socket.
    pub fn to(mut self, room: &str) -> Self {
        self.rooms.push(room.into());
        self
    }

    /// Excludes the members of `room`.
    pub fn except(mut self, room: &str) -> Self {
        self.except.push(room.into());
        self
    }

    /// Drops the event for clients that are not ready: behind on reading, or between two polls.
    pub fn volatile(mut self) -> Self {
        self.class = Class::Volatile;
        self
    }

    /// Sends the event as the newest state of the thing named by `key`; see [`Class::Latest`].
    pub fn latest(mut self, key: u64) -> Self {
        self.class = Class::Latest(key);
        self
    }

    /// Restricts the selection to sockets of this node.
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Time-out of [`Broadcast::emit_with_ack`] and [`Broadcast::fetch_sockets`] (10 s).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends an event with one argument. Returns the number of sockets on this node that it was queued for.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<usize, EmitError> {
        self.emit_payload(event, &Payload::one(data)?)
    }

    /// Sends an event whose arguments are the elements of a tuple.
    pub fn emit_args<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> Result<usize, EmitError> {
        self.emit_payload(event, &Payload::args(args)?)
    }

    /// Sends an event with any number of arguments, including binary ones.
    pub fn emit_payload(&self, event: &str, payload: &Payload) -> Result<usize, EmitError> {
        check_name(event)?;
        // Volatile events and states are not worth recovering.
        if let Some(memory) = self.namespace.memory_recovery()
            && self.class == Class::Durable
        {
            let recipients = Recipients {
                rooms: self.rooms.clone(),
                except: self.except.clone(),
                except_socket: self.except_socket,
            };
            let name = self.namespace.name();
            return Ok(memory.emit(name, event, payload, recipients, |event| {
                self.send_here(event, self.class)
            }));
        }
        let event = Prepared::event(self.namespace.name(), event, None, payload);
        if let Some(nodes) = self.remote_nodes() {
            nodes.emit(&self.namespace, self.selection(), self.class, &event);
        }
        Ok(self.send_here(&event, self.class))
    }

    pub(super) fn send_here(&self, event: &Prepared, class: Class) -> usize {
        let mut sent = 0;
        self.for_each(|socket| sent += usize::from(socket.send_prepared(event, class) == Sent::Queued));
        sent
    }

    /// Sends an event with one argument and collects each client's answer, whose first argument is a `T`,
    /// for at most [`Broadcast::timeout`]. Answers are in order of arrival; sockets that did not answer come
    /// last. Sockets of a node that leaves the cluster or loses its lease count as disconnected. If a node
    /// does not respond at all, its sockets are missing.
    pub async fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<Vec<(SocketId, Result<T, AckError>)>, EmitError> {
        let answers = self.emit_payload_with_ack(event, &Payload::one(data)?).await?;
        let decoded = answers.into_iter();
        Ok(decoded
            .map(|(id, answer)| (id, answer.and_then(|answer| decode(&answer))))
            .collect())
    }

    /// Like [`Broadcast::emit_with_ack`], with any number of arguments in both directions, including binary
    /// ones.
    pub async fn emit_payload_with_ack(
        &self,
        event: &str,
        payload: &Payload,
    ) -> Result<Vec<(SocketId, Result<Payload, AckError>)>, EmitError> {
        check_name(event)?;
        // One id for all recipients, so that the event is encoded once.
        let id = match self.remote_nodes() {
            None => self.namespace.next_ack_id(),
            Some(_) => Namespace::cluster_ack_id(),
        };
        let event = Prepared::event(self.namespace.name(), event, Some(id), payload);
        let targets = self.sockets();
        let deadline = Instant::now() + self.timeout;
        let Some(nodes) = self.remote_nodes() else {
            let mut outcomes = Vec::with_capacity(targets.len());
            let report = |id, outcome| outcomes.push((id, outcome));
            collect_acks(&self.namespace, &targets, id, &event, deadline, report).await;
            return Ok(outcomes);
        };
        let outcomes = Mutex::new(Vec::with_capacity(targets.len()));
        let report = |id, outcome| outcomes.lock().push((id, outcome));
        let here = collect_acks(&self.namespace, &targets, id, &event, deadline, report);
        let there = nodes.ask(
            &self.namespace,
            self.selection(),
            id,
            &event,
            deadline,
            Box::new(report),
        );
        tokio::join!(here, there);
        Ok(outcomes.into_inner())
    }

    /// The selected sockets of this node.
    pub fn sockets(&self) -> Vec<Socket> {
        let mut sockets = Vec::new();
        self.for_each(|socket| sockets.push(socket.clone()));
        sockets
    }

    /// The selected sockets of all live nodes. Each node is asked repeatedly until it answers, for at most
    /// [`Broadcast::timeout`].
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, FetchError> {
        let mut found: Vec<_> = self.sockets().iter().map(RemoteSocket::own).collect();
        if let Some(nodes) = self.remote_nodes() {
            let deadline = Instant::now() + self.timeout;
            found.extend(nodes.fetch(&self.namespace, self.selection(), deadline).await?);
        }
        Ok(found)
    }

    /// Makes the sockets join a room.
    pub fn join(&self, room: &str) {
        self.act_remote(|| Action::Join(room.to_owned()));
        for socket in self.sockets() {
            socket.join(room);
        }
    }

    /// Makes the sockets leave a room.
    pub fn leave(&self, room: &str) {
        self.act_remote(|| Action::Leave(room.to_owned()));
        for socket in self.sockets() {
            socket.leave(room);
        }
    }

    /// Disconnects the sockets; see [`Socket::disconnect`].
    pub fn disconnect(&self, close_transport: bool) {
        self.act_remote(|| Action::Disconnect(close_transport));
        for socket in self.sockets() {
            socket.disconnect(close_transport);
        }
    }

    fn act_remote(&self, act: impl FnOnce() -> Action) {
        if let Some(nodes) = self.remote_nodes() {
            nodes.act(&self.namespace, self.selection(), act());
        }
    }

    fn for_each(&self, mut f: impl FnMut(&Socket)) {
        let excluded = self.excluded();
        let mut visit = |socket: &Socket| {
            if !excluded.contains(socket.id()) {
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

    /// Collected first: reading one room's lock while holding another's could deadlock.
    fn excluded(&self) -> HashSet<SocketId> {
        let mut excluded: HashSet<SocketId> = self.except_socket.into_iter().collect();
        for room in &self.except {
            excluded.extend(SocketId::parse(room));
            self.namespace.rooms().for_each(room, |socket| {
                excluded.insert(*socket.id());
            });
        }
        excluded
    }
}
