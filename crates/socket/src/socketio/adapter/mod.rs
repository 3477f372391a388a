//! Namespaces over several nodes: what is sent to a room reaches its sockets on every node.
//!
//! Best effort, as with Socket.IO's Redis adapter: the bus may lose, delay or repeat a message, and what it loses nobody
//! sends again. Each room has a topic, which a node hears only while it has a socket in that room; a namespace has one for
//! what is for all; each node has one for what others ask it.
//!
//! | read | for |
//! |---|---|
//! | `message` | what goes over the bus, and how it is read without trusting it |
//! | `served` | which topics this node hears |
//! | `calls` | asking the other nodes, and gathering what they answer |
//! | `serving` | doing and answering what they ask |
//! | `remote` | a socket of any node |

mod calls;
mod message;
mod metrics;
mod remote;
mod served;
mod serving;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use roomful_bus::{Bus, Listener, Subscription};
use tokio::sync::Semaphore;

pub(super) use self::message::{Act, Choice, Listed};
pub use self::remote::{FetchError, RemoteSocket};
use self::{
    calls::{Members, Waiting},
    message::{Message, Said},
    metrics::Metrics,
    served::Served,
};
use super::{namespace::Namespace, server::Namespaces};
use crate::{cluster::NodeTag, id::SocketId, outbox::Class, prepared::Prepared};

/// Questions with acknowledgements that are answered for other nodes at a time.
const MAX_SERVING: usize = 1024;
/// Messages of several topics that are remembered, so that the second copy is known as one.
const REMEMBERED: usize = 4096;

pub(super) struct Adapter {
    own: NodeTag,
    bus: Arc<dyn Bus>,
    namespaces: Weak<Namespaces>,
    /// To give the bus something to call that does not keep this alive.
    ear: Arc<Ear>,
    served: Served,
    waiting: Waiting,
    members: Members,
    recent: Mutex<Recent>,
    next: AtomicU64,
    serving: Arc<Semaphore>,
    metrics: Metrics,
    /// The topic on which others ask this node.
    asked: OnceLock<Subscription>,
}

struct Ear(Weak<Adapter>);

impl Listener for Ear {
    fn message(&self, _topic: &str, message: Bytes) {
        if let Some(adapter) = self.0.upgrade() {
            adapter.hear(&message);
        }
    }

    fn gap(&self, _topic: &str) {
        // What was lost is lost.
    }
}

impl Adapter {
    pub(super) fn start(own: NodeTag, bus: Arc<dyn Bus>, namespaces: &Arc<Namespaces>) -> Arc<Self> {
        let adapter = Arc::new_cyclic(|this: &Weak<Adapter>| Adapter {
            own,
            bus,
            namespaces: Arc::downgrade(namespaces),
            ear: Arc::new(Ear(this.clone())),
            served: Served::default(),
            waiting: Waiting::default(),
            members: Members::default(),
            recent: Mutex::default(),
            next: AtomicU64::new(1),
            serving: Arc::new(Semaphore::new(MAX_SERVING)),
            metrics: Metrics::new(),
            asked: OnceLock::new(),
        });
        let subscription = adapter.bus.subscribe(&node_topic(own), adapter.listener());
        // Set once, here.
        let _ = adapter.asked.set(subscription);
        adapter
    }

    fn listener(&self) -> Arc<dyn Listener> {
        self.ear.clone()
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// An id for an acknowledgement by sockets of all nodes. Chance keeps those of several nodes apart, and its size keeps
    /// it apart from those that each node counts for itself. The protocol ends at 2^53 - 1.
    pub(super) fn ack_id() -> u64 {
        rand::random_range(1 << 40..1 << 53)
    }

    // ---- to the others

    /// An event for the chosen sockets of other nodes.
    pub(super) fn emit(&self, namespace: &Namespace, choice: Choice, class: Class, event: &Prepared) {
        let topics = topics(namespace, &choice);
        let once = self.once(&topics);
        let class = class.into();
        self.publish(
            topics,
            namespace.name(),
            Said::Emit { choice, class, once },
            &event.frame(),
        );
    }

    /// Something to be done with the chosen sockets of other nodes.
    pub(super) fn act(&self, namespace: &Namespace, choice: Choice, act: Act) {
        let topics = topics(namespace, &choice);
        let once = self.once(&topics);
        self.publish(topics, namespace.name(), Said::Do { choice, act, once }, &[]);
    }

    /// As [`Adapter::emit`], to one node.
    fn emit_at(&self, node: NodeTag, namespace: &Namespace, choice: Choice, event: &Prepared) {
        let class = Class::Durable.into();
        let said = Said::Emit {
            choice,
            class,
            once: None,
        };
        self.publish([node_topic(node)], namespace.name(), said, &event.frame());
    }

    /// As [`Adapter::act`], at one node.
    fn act_at(&self, node: NodeTag, namespace: &Namespace, choice: Choice, act: Act) {
        let once = None;
        self.publish(
            [node_topic(node)],
            namespace.name(),
            Said::Do { choice, act, once },
            &[],
        );
    }

    fn publish(&self, topics: impl IntoIterator<Item = String>, namespace: &str, said: Said, tail: &[u8]) {
        let message = Message {
            from: self.own,
            namespace: namespace.to_owned(),
            said,
        };
        let bytes = message.encode(tail);
        for topic in topics {
            self.metrics.said.increment(1);
            self.bus.publish(&topic, bytes.clone());
        }
    }

    /// A number by which copies on several topics are known as one message.
    fn once(&self, topics: &HashSet<String>) -> Option<u64> {
        (topics.len() > 1).then(|| self.next())
    }

    /// `false`: it was heard before.
    fn is_first(&self, from: NodeTag, number: u64) -> bool {
        self.recent.lock().insert((from, number))
    }

    // ---- what this node serves

    /// Somebody may have come into a room of this node, or the last one may have left it; `None`: the namespace. Called
    /// after each such change, without its lock.
    pub(super) fn room_changed(self: &Arc<Self>, namespace: &Namespace, room: Option<&str>) {
        // A socket's own name is no topic.
        if room.is_some_and(|room| SocketId::parse(room).is_some()) {
            return;
        }
        self.served.update(self, namespace, room);
    }
}

/// What came last on several topics.
#[derive(Default)]
struct Recent {
    known: HashSet<(NodeTag, u64)>,
    order: VecDeque<(NodeTag, u64)>,
}

impl Recent {
    fn insert(&mut self, number: (NodeTag, u64)) -> bool {
        if !self.known.insert(number) {
            return false;
        }
        self.order.push_back(number);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// The topic of a room, or of a whole namespace. The length keeps a namespace's name apart from a room's.
fn topic(namespace: &Namespace, room: Option<&str>) -> String {
    let name = namespace.name();
    match room {
        Some(room) => format!("room:{}:{name}:{room}", name.len()),
        None => format!("namespace:{name}"),
    }
}

/// Where those are heard who may have chosen sockets. A single socket that is on this node concerns nobody else; one
/// that is not may be on any.
fn topics(namespace: &Namespace, choice: &Choice) -> HashSet<String> {
    if choice.rooms.is_empty() {
        return HashSet::from([topic(namespace, None)]);
    }
    let rooms = choice.rooms.iter();
    rooms
        .filter_map(|room| match SocketId::parse(room) {
            Some(id) => namespace.socket(&id).is_none().then(|| topic(namespace, None)),
            None => Some(topic(namespace, Some(room))),
        })
        .collect()
}

fn node_topic(node: NodeTag) -> String {
    format!("node:{node}")
}

/// Sockets by the node that they are on.
type ByNode = HashMap<NodeTag, HashSet<SocketId>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_first_once_and_few_are_remembered() {
        let (mut recent, node) = (Recent::default(), NodeTag::random());
        assert!(recent.insert((node, 0)));
        assert!(!recent.insert((node, 0)));
        assert!(recent.insert((NodeTag::random(), 0)));
        for number in 1..10_000 {
            assert!(recent.insert((node, number)));
        }
        assert_eq!((recent.known.len(), recent.order.len()), (REMEMBERED, REMEMBERED));
    }
}
