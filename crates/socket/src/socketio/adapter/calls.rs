//! Asking the other nodes. Each is asked anew until it has said which sockets it means, since the bus may lose anything; what
//! follows from that is sent once. Nobody waits for a node that is not on the roster, or leaves it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use roomful_wire::packet::Payload;
use tokio::{sync::mpsc, time::Instant};

use super::{Adapter, ByNode, Choice, FetchError, Listed, RemoteSocket, message::Said, node_topic};
use crate::{
    cluster::{NodeCard, NodeTag},
    id::SocketId,
    prepared::Prepared,
    socketio::{ack::AckError, namespace::Namespace},
};

/// How long a node may take to say which sockets it means before it is asked again; the roster is looked at as often.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// How old what is known of the roster may be.
const ROSTER_AGE: Duration = Duration::from_millis(200);
/// How long the roster may take.
const ROSTER_PATIENCE: Duration = Duration::from_secs(2);
/// Answers that wait for one caller; more are lost, as the bus may lose them.
const MAX_WAITING: usize = 16 * 1024;

type Outcome = Result<Payload, AckError>;

/// What came back to a call.
enum Back {
    Selected {
        from: NodeTag,
        sockets: Vec<Listed>,
        cut: bool,
    },
    Answered {
        from: NodeTag,
        socket: SocketId,
        outcome: Outcome,
    },
}

/// Who waits for answers of other nodes.
#[derive(Default)]
pub(super) struct Waiting(Mutex<HashMap<u64, mpsc::Sender<Back>>>);

impl Waiting {
    /// `false`: the caller does not keep up, and this is lost. The same of the next.
    pub(super) fn selected(&self, call: u64, from: NodeTag, sockets: Vec<Listed>, cut: bool) -> bool {
        self.hand(call, Back::Selected { from, sockets, cut })
    }

    pub(super) fn answered(&self, call: u64, from: NodeTag, socket: SocketId, outcome: Outcome) -> bool {
        let back = Back::Answered {
            from,
            socket,
            outcome,
        };
        self.hand(call, back)
    }

    /// The bus must not wait for a caller. Who waits no more has nothing to lose.
    fn hand(&self, call: u64, back: Back) -> bool {
        let calls = self.0.lock();
        let handed = calls.get(&call).map(|caller| caller.try_send(back));
        !matches!(handed, Some(Err(mpsc::error::TrySendError::Full(_))))
    }
}

/// What is known of the roster. Async, since it is held while the roster is read: one caller reads for all.
#[derive(Default)]
pub(super) struct Members(tokio::sync::Mutex<(Option<Instant>, HashSet<NodeTag>)>);

impl Adapter {
    /// The other nodes that are alive. If the roster can't be read: as far as is known.
    async fn others(&self) -> HashSet<NodeTag> {
        let mut known = self.members.0.lock().await;
        if known.0.is_some_and(|read| read.elapsed() < ROSTER_AGE) {
            return known.1.clone();
        }
        match tokio::time::timeout(ROSTER_PATIENCE, self.bus.members()).await {
            Ok(Ok(members)) => {
                let cards = members
                    .iter()
                    .filter_map(|entry| NodeCard::from_bytes(&entry.value));
                known.1 = cards
                    .map(|card| card.tag)
                    .filter(|&tag| tag != self.own)
                    .collect();
            }
            Ok(Err(error)) => tracing::warn!(%error, "can't read who is in the cluster"),
            Err(_) => tracing::warn!("reading who is in the cluster takes too long"),
        }
        known.0 = Some(Instant::now());
        known.1.clone()
    }

    /// The chosen sockets of all other nodes.
    pub(in crate::socketio) async fn fetch(
        self: &Arc<Self>,
        namespace: &Namespace,
        choice: Choice,
        deadline: Instant,
    ) -> Result<Vec<RemoteSocket>, FetchError> {
        let mut call = Call::begin(self, namespace, choice, true).await;
        let mut found = Vec::new();
        while !call.silent.is_empty() {
            match call.next(deadline).await {
                Next::Back(Back::Selected { from, sockets, cut }) => {
                    if cut {
                        return Err(FetchError::TooMany);
                    }
                    if call.silent.remove(&from) {
                        let remote = |listed| RemoteSocket::read(namespace, Some(from), listed);
                        found.extend(sockets.into_iter().filter_map(remote));
                    }
                }
                Next::Back(Back::Answered { .. }) => {}
                Next::Look(alive) => call.silent.retain(|node| alive.contains(node)),
                Next::TimedOut => {
                    self.metrics.silent.increment(call.silent.len() as u64);
                    return Err(FetchError::TimedOut);
                }
            }
        }
        Ok(found)
    }

    /// Sends an event that asks for an answer to `id` to the chosen sockets of all other nodes, and tells what became of
    /// each, as it comes. Those of a node that dies or leaves have left.
    pub(in crate::socketio) async fn ask(
        self: &Arc<Self>,
        namespace: &Namespace,
        choice: Choice,
        id: u64,
        event: &Prepared,
        deadline: Instant,
        mut tell: impl FnMut(SocketId, Outcome),
    ) {
        let mut call = Call::begin(self, namespace, choice, false).await;
        let mut waiting = ByNode::new();
        while !(call.silent.is_empty() && waiting.is_empty()) {
            match call.next(deadline).await {
                Next::Back(Back::Selected { from, sockets, cut }) => {
                    if !call.silent.remove(&from) || sockets.is_empty() {
                        continue;
                    }
                    if cut {
                        tracing::warn!(node = %from, "more sockets than can be asked for an answer at once");
                    }
                    let ids: HashSet<_> = sockets.iter().filter_map(|s| SocketId::parse(&s.id)).collect();
                    call.ask(from, &ids, id, event, deadline);
                    waiting.insert(from, ids);
                }
                Next::Back(Back::Answered {
                    from,
                    socket,
                    outcome,
                }) => {
                    if let Some(ids) = waiting.get_mut(&from)
                        && ids.remove(&socket)
                    {
                        tell(socket, outcome);
                    }
                    waiting.retain(|_, ids| !ids.is_empty());
                }
                Next::Look(alive) => {
                    call.silent.retain(|node| alive.contains(node));
                    waiting.retain(|node, ids| {
                        let lives = alive.contains(node);
                        if !lives {
                            for id in ids.drain() {
                                tell(id, Err(AckError::Disconnected));
                            }
                        }
                        lives
                    });
                }
                Next::TimedOut => {
                    self.metrics.silent.increment(call.silent.len() as u64);
                    break;
                }
            }
        }
        for id in waiting.into_values().flatten() {
            tell(id, Err(AckError::Timeout));
        }
    }
}

/// A question to all other nodes.
struct Call<'a> {
    adapter: &'a Adapter,
    namespace: &'a Namespace,
    number: u64,
    choice: Choice,
    details: bool,
    answers: mpsc::Receiver<Back>,
    /// Nodes that have not said which sockets they mean.
    silent: HashSet<NodeTag>,
    again: Instant,
}

enum Next {
    Back(Back),
    /// Time to look who is alive; these are.
    Look(HashSet<NodeTag>),
    TimedOut,
}

impl<'a> Call<'a> {
    async fn begin(adapter: &'a Adapter, namespace: &'a Namespace, choice: Choice, details: bool) -> Self {
        let silent = adapter.others().await;
        let (sender, answers) = mpsc::channel(MAX_WAITING);
        let number = adapter.next();
        adapter.waiting.0.lock().insert(number, sender);
        let call = Call {
            adapter,
            namespace,
            number,
            choice,
            details,
            answers,
            silent,
            again: Instant::now() + ASK_AGAIN,
        };
        call.select();
        call
    }

    fn select(&self) {
        if self.silent.is_empty() {
            return;
        }
        let said = Said::Select {
            call: self.number,
            choice: self.choice.clone(),
            details: self.details,
        };
        let topics = self.silent.iter().map(|&node| node_topic(node));
        self.adapter.publish(topics, self.namespace.name(), said, &[]);
    }

    fn ask(&self, node: NodeTag, sockets: &HashSet<SocketId>, id: u64, event: &Prepared, deadline: Instant) {
        let patience = deadline.saturating_duration_since(Instant::now());
        let said = Said::Ask {
            call: self.number,
            sockets: sockets.iter().map(|id| id.as_str().to_owned()).collect(),
            id,
            patience_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
        };
        let topic = [node_topic(node)];
        self.adapter
            .publish(topic, self.namespace.name(), said, &event.frame());
    }

    async fn next(&mut self, deadline: Instant) -> Next {
        tokio::select! {
            biased;
            Some(back) = self.answers.recv() => Next::Back(back),
            () = tokio::time::sleep_until(deadline) => Next::TimedOut,
            () = tokio::time::sleep_until(self.again) => {
                self.again = Instant::now() + ASK_AGAIN;
                let alive = self.adapter.others().await;
                self.silent.retain(|node| alive.contains(node));
                self.select();
                Next::Look(alive)
            }
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.adapter.waiting.0.lock().remove(&self.number);
    }
}
