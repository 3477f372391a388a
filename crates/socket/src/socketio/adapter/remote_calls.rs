//! Requests to the other nodes. A node is asked repeatedly until it has listed its selected sockets, since
//! the bus may lose messages; the event itself is sent once. Nodes that are not cluster members, or leave,
//! are not waited for.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use parking_lot::Mutex;
use roomful_wire::packet::Payload;
use tokio::{sync::mpsc, time::Instant};

use super::{
    Adapter, ByNode,
    message::{MessageBody, SocketInfo},
    node_topic,
};
use crate::{
    cluster::NodeAddress,
    id::SocketId,
    node_tag::NodeTag,
    prepared::Prepared,
    socketio::{
        Namespace,
        ack::AckError,
        remote_nodes::{FetchError, Report},
        remote_socket::RemoteSocket,
        selection::Selection,
    },
};

/// How long to wait for a node's list of sockets before asking again and refreshing the members.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// Maximum age of the cached members.
const MEMBERS_MAX_AGE: Duration = Duration::from_millis(200);
/// How long reading the members may take.
const MEMBERS_TIMEOUT: Duration = Duration::from_secs(2);
/// Answers that may wait for one caller. More are lost.
const MAX_WAITING: usize = 16 * 1024;

type Outcome = Result<Payload, AckError>;

/// An answer to a call.
enum Reply {
    Selected {
        from: NodeTag,
        sockets: Vec<SocketInfo>,
        cut: bool,
    },
    Answered {
        from: NodeTag,
        socket: SocketId,
        outcome: Outcome,
    },
}

/// Callers that wait for other nodes.
#[derive(Default)]
pub(super) struct PendingCalls(Mutex<HashMap<u64, mpsc::Sender<Reply>>>);

impl PendingCalls {
    /// Delivers a list. `false` if the caller does not keep up and the list is lost; the same for answers.
    pub(super) fn selected(&self, call: u64, from: NodeTag, sockets: Vec<SocketInfo>, cut: bool) -> bool {
        self.deliver(call, Reply::Selected { from, sockets, cut })
    }

    pub(super) fn answered(&self, call: u64, from: NodeTag, socket: SocketId, outcome: Outcome) -> bool {
        let reply = Reply::Answered {
            from,
            socket,
            outcome,
        };
        self.deliver(call, reply)
    }

    /// Never blocks the bus. A caller that has given up loses nothing.
    fn deliver(&self, call: u64, reply: Reply) -> bool {
        let calls = self.0.lock();
        let handed = calls.get(&call).map(|caller| caller.try_send(reply));
        !matches!(handed, Some(Err(mpsc::error::TrySendError::Full(_))))
    }
}

/// The cached members. Async, since the lock is held during the read: one caller reads for all.
#[derive(Default)]
pub(super) struct MemberCache(tokio::sync::Mutex<(Option<Instant>, HashSet<NodeTag>)>);

impl Adapter {
    /// The other live nodes. If the members cannot be read, the cached ones.
    async fn other_nodes(&self) -> HashSet<NodeTag> {
        let mut known = self.members.0.lock().await;
        if known.0.is_some_and(|read| read.elapsed() < MEMBERS_MAX_AGE) {
            return known.1.clone();
        }
        match tokio::time::timeout(MEMBERS_TIMEOUT, self.bus.members()).await {
            Ok(Ok(members)) => {
                let cards = members
                    .iter()
                    .filter_map(|entry| NodeAddress::from_bytes(&entry.value));
                known.1 = cards
                    .map(|address| address.tag)
                    .filter(|&tag| tag != self.own)
                    .collect();
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to read the cluster's members, using the cached ones");
            }
            Err(_) => tracing::warn!("failed to read the cluster's members in time, using the cached ones"),
        }
        known.0 = Some(Instant::now());
        known.1.clone()
    }

    /// See [`RemoteNodes::fetch`](crate::socketio::remote_nodes::RemoteNodes::fetch).
    pub(super) async fn fetch_remote(
        &self,
        namespace: &Namespace,
        selection: Selection,
        deadline: Instant,
    ) -> Result<Vec<RemoteSocket>, FetchError> {
        let mut call = Call::begin(self, namespace, selection, true).await;
        let mut found = Vec::new();
        while !call.silent.is_empty() {
            match call.next(deadline).await {
                Next::Reply(Reply::Selected { from, sockets, cut }) => {
                    if cut {
                        return Err(FetchError::TooMany);
                    }
                    if call.silent.remove(&from) {
                        let remote = |listed: SocketInfo| {
                            let id = SocketId::parse(&listed.id)?;
                            Some(RemoteSocket::of(namespace, from, id, listed.details?))
                        };
                        found.extend(sockets.into_iter().filter_map(remote));
                    }
                }
                Next::Reply(Reply::Answered { .. }) => {}
                Next::Members(alive) => call.silent.retain(|node| alive.contains(node)),
                Next::TimedOut => {
                    self.metrics.timeouts.increment(call.silent.len() as u64);
                    return Err(FetchError::TimedOut);
                }
            }
        }
        Ok(found)
    }

    /// See [`RemoteNodes::ask`](crate::socketio::remote_nodes::RemoteNodes::ask).
    pub(super) async fn ask_remote(
        &self,
        namespace: &Namespace,
        selection: Selection,
        id: u64,
        event: &Prepared,
        deadline: Instant,
        mut report: Report<'_>,
    ) {
        let mut call = Call::begin(self, namespace, selection, false).await;
        let mut waiting = ByNode::new();
        while !(call.silent.is_empty() && waiting.is_empty()) {
            match call.next(deadline).await {
                Next::Reply(Reply::Selected { from, sockets, cut }) => {
                    if !call.silent.remove(&from) || sockets.is_empty() {
                        continue;
                    }
                    if cut {
                        tracing::warn!(node = %from, "asked only some sockets of a node for an ack");
                    }
                    let ids: HashSet<_> = sockets.iter().filter_map(|s| SocketId::parse(&s.id)).collect();
                    call.ask(from, &ids, id, event, deadline);
                    waiting.insert(from, ids);
                }
                Next::Reply(Reply::Answered {
                    from,
                    socket,
                    outcome,
                }) => {
                    if let Some(ids) = waiting.get_mut(&from)
                        && ids.remove(&socket)
                    {
                        report(socket, outcome);
                    }
                    waiting.retain(|_, ids| !ids.is_empty());
                }
                Next::Members(alive) => {
                    call.silent.retain(|node| alive.contains(node));
                    waiting.retain(|node, ids| {
                        let is_alive = alive.contains(node);
                        if !is_alive {
                            for id in ids.drain() {
                                report(id, Err(AckError::Disconnected));
                            }
                        }
                        is_alive
                    });
                }
                Next::TimedOut => {
                    self.metrics.timeouts.increment(call.silent.len() as u64);
                    break;
                }
            }
        }
        for id in waiting.into_values().flatten() {
            report(id, Err(AckError::Timeout));
        }
    }
}

/// A call to all other nodes.
struct Call<'a> {
    adapter: &'a Adapter,
    namespace: &'a Namespace,
    number: u64,
    selection: Selection,
    details: bool,
    answers: mpsc::Receiver<Reply>,
    /// Nodes that have not listed their selected sockets.
    silent: HashSet<NodeTag>,
    ask_again_at: Instant,
}

enum Next {
    Reply(Reply),
    /// The current members.
    Members(HashSet<NodeTag>),
    TimedOut,
}

impl<'a> Call<'a> {
    async fn begin(
        adapter: &'a Adapter,
        namespace: &'a Namespace,
        selection: Selection,
        details: bool,
    ) -> Self {
        let silent = adapter.other_nodes().await;
        let (sender, answers) = mpsc::channel(MAX_WAITING);
        let number = adapter.next();
        adapter.waiting.0.lock().insert(number, sender);
        let call = Call {
            adapter,
            namespace,
            number,
            selection,
            details,
            answers,
            silent,
            ask_again_at: Instant::now() + ASK_AGAIN,
        };
        call.select();
        call
    }

    fn select(&self) {
        if self.silent.is_empty() {
            return;
        }
        let body = MessageBody::Select {
            call: self.number,
            selection: self.selection.clone(),
            details: self.details,
        };
        let topics = self.silent.iter().map(|&node| node_topic(node));
        self.adapter.publish(topics, self.namespace.name(), body, &[]);
    }

    fn ask(&self, node: NodeTag, sockets: &HashSet<SocketId>, id: u64, event: &Prepared, deadline: Instant) {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let body = MessageBody::Ask {
            call: self.number,
            sockets: sockets.iter().map(|id| id.as_str().to_owned()).collect(),
            id,
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        };
        let topic = [node_topic(node)];
        self.adapter
            .publish(topic, self.namespace.name(), body, &event.frame());
    }

    async fn next(&mut self, deadline: Instant) -> Next {
        tokio::select! {
            biased;
            Some(reply) = self.answers.recv() => Next::Reply(reply),
            () = tokio::time::sleep_until(deadline) => Next::TimedOut,
            () = tokio::time::sleep_until(self.ask_again_at) => {
                self.ask_again_at = Instant::now() + ASK_AGAIN;
                let alive = self.adapter.other_nodes().await;
                self.silent.retain(|node| alive.contains(node));
                self.select();
                Next::Members(alive)
            }
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.adapter.waiting.0.lock().remove(&self.number);
    }
}
