//! The cluster adapter: a broadcast reaches the sockets of a room on every node.
//!
//! Delivery is best effort, as with Socket.IO's Redis adapter: the bus may lose, delay or repeat a message,
//! and lost messages are not resent. Each room has a topic, to which a node subscribes only while it has a
//! member. Each namespace has a topic for all its sockets, and each node has one for requests.
//!
//! | module | for |
//! |---|---|
//! | `message` | messages and their validation |
//! | `topic_subscriptions` | the topics of this node |
//! | `remote_calls` | requests to the other nodes |
//! | `request_handler` | requests from other nodes |

mod message;
mod metrics;
mod remote_calls;
mod request_handler;
mod topic_subscriptions;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use roomful_bus::{Bus, BusListener, Subscription};
use roomful_wire::packet::Payload;
use tokio::{sync::Semaphore, time::Instant};

use self::{
    message::{BusMessage, MessageBody, split_payload},
    metrics::Metrics,
    remote_calls::{MemberCache, PendingCalls},
    topic_subscriptions::TopicSubscriptions,
};
use super::{
    Namespace,
    cluster_node::ClusterNode,
    namespaces::Namespaces,
    remote_nodes::{BoxFuture, FetchError, RemoteNodes, Report},
    remote_socket::RemoteSocket,
    selection::{Action, Selection},
    server::Builder,
};
use crate::{
    cluster::Cluster, engine::Peers, id::SocketId, node_tag::NodeTag, outbox::Class, prepared::Prepared,
    settings::Settings,
};

/// Requests for acks that this node handles for others at a time.
const MAX_SERVING: usize = 1024;
/// Remembered messages on several topics, to detect copies.
const REMEMBERED: usize = 4096;
/// The topic to which all nodes subscribe.
const ALL_NODES: &str = "nodes";

struct Adapter {
    own: NodeTag,
    bus: Arc<dyn Bus>,
    namespaces: Weak<Namespaces>,
    /// The bus holds this listener, which does not keep the adapter alive.
    listener_handle: Arc<AdapterListener>,
    subscriptions: TopicSubscriptions,
    waiting: PendingCalls,
    members: MemberCache,
    recent: Mutex<RecentMessages>,
    next: AtomicU64,
    serving: Arc<Semaphore>,
    metrics: Metrics,
    /// Subscriptions to this node's request topic and to the topic of all nodes.
    asked: OnceLock<[Subscription; 2]>,
}

struct AdapterListener(Weak<Adapter>);

impl BusListener for AdapterListener {
    fn message(&self, _topic: &str, message: Bytes) {
        if let Some(adapter) = self.0.upgrade() {
            adapter.handle_message(&message);
        }
    }

    fn gap(&self, _topic: &str) {
        // Lost messages are not resent.
    }
}

impl Adapter {
    fn start(
        own: NodeTag,
        bus: Arc<dyn Bus>,
        namespaces: &Arc<Namespaces>,
        metric_prefix: &str,
    ) -> Arc<Self> {
        let adapter = Arc::new_cyclic(|this: &Weak<Adapter>| Adapter {
            own,
            bus,
            namespaces: Arc::downgrade(namespaces),
            listener_handle: Arc::new(AdapterListener(this.clone())),
            subscriptions: TopicSubscriptions::default(),
            waiting: PendingCalls::default(),
            members: MemberCache::default(),
            recent: Mutex::default(),
            next: AtomicU64::new(1),
            serving: Arc::new(Semaphore::new(MAX_SERVING)),
            metrics: Metrics::new(metric_prefix),
            asked: OnceLock::new(),
        });
        let topics = [&node_topic(own), ALL_NODES];
        let subscriptions = topics.map(|topic| adapter.bus.subscribe(topic, adapter.listener()));
        // The only call.
        let _ = adapter.asked.set(subscriptions);
        adapter
    }

    fn listener(&self) -> Arc<dyn BusListener> {
        self.listener_handle.clone()
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn publish(
        &self,
        topics: impl IntoIterator<Item = String>,
        namespace: &str,
        body: MessageBody,
        tail: &[u8],
    ) {
        let message = BusMessage {
            from: self.own,
            namespace: namespace.to_owned(),
            body,
        };
        let bytes = message.encode(tail);
        for topic in topics {
            self.metrics.published.increment(1);
            self.bus.publish(&topic, bytes.clone());
        }
    }

    /// A number that identifies copies on several topics.
    fn dedup_id(&self, topics: &HashSet<String>) -> Option<u64> {
        (topics.len() > 1).then(|| self.next())
    }

    /// Whether the message was not received before.
    fn is_first(&self, from: NodeTag, number: u64) -> bool {
        self.recent.lock().insert((from, number))
    }
}

/// A node with a bus: its rooms span all nodes.
impl ClusterNode for Cluster {
    fn peers(&self, settings: &Settings) -> Arc<dyn Peers> {
        Cluster::peers(self, settings)
    }

    fn remote_nodes(
        &self,
        namespaces: &Arc<Namespaces>,
        settings: &Settings,
    ) -> Option<Arc<dyn RemoteNodes>> {
        let (tag, bus) = self.adapter()?;
        Some(Adapter::start(tag, bus, namespaces, settings.metric_prefix))
    }
}

impl Builder {
    /// Makes the server a node of a cluster, so that any node answers for any session. See [`Cluster`] for
    /// the requirements.
    pub fn cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(Arc::new(cluster));
        self
    }
}

impl RemoteNodes for Adapter {
    fn emit(&self, namespace: &Namespace, selection: Selection, class: Class, event: &Prepared) {
        let topics = topics(namespace, &selection);
        let once = self.dedup_id(&topics);
        let class = class.into();
        self.publish(
            topics,
            namespace.name(),
            MessageBody::Emit {
                selection,
                class,
                once,
            },
            &event.frame(),
        );
    }

    fn act(&self, namespace: &Namespace, selection: Selection, act: Action) {
        let topics = topics(namespace, &selection);
        let once = self.dedup_id(&topics);
        self.publish(
            topics,
            namespace.name(),
            MessageBody::Do { selection, act, once },
            &[],
        );
    }

    fn emit_at(&self, node: NodeTag, namespace: &Namespace, selection: Selection, event: &Prepared) {
        let class = Class::Durable.into();
        let body = MessageBody::Emit {
            selection,
            class,
            once: None,
        };
        self.publish([node_topic(node)], namespace.name(), body, &event.frame());
    }

    fn act_at(&self, node: NodeTag, namespace: &Namespace, selection: Selection, act: Action) {
        let once = None;
        self.publish(
            [node_topic(node)],
            namespace.name(),
            MessageBody::Do { selection, act, once },
            &[],
        );
    }

    fn fetch<'a>(
        &'a self,
        namespace: &'a Namespace,
        selection: Selection,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Vec<RemoteSocket>, FetchError>> {
        Box::pin(self.fetch_remote(namespace, selection, deadline))
    }

    fn ask<'a>(
        &'a self,
        namespace: &'a Namespace,
        selection: Selection,
        id: u64,
        event: &'a Prepared,
        deadline: Instant,
        report: Report<'a>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(self.ask_remote(namespace, selection, id, event, deadline, report))
    }

    fn server_event(&self, namespace: &Namespace, event: &str, payload: &Payload) {
        let name = event.to_owned();
        let (args, attachments) = split_payload(payload);
        let body = MessageBody::ServerEvent { name, args };
        self.publish([ALL_NODES.to_owned()], namespace.name(), body, &attachments);
    }

    fn room_changed(self: Arc<Self>, namespace: &Namespace, room: Option<&str>) {
        // The room of a single socket has no topic.
        if room.is_some_and(|room| SocketId::parse(room).is_some()) {
            return;
        }
        self.subscriptions.update(&self, namespace, room);
    }
}

/// The latest messages that came on several topics.
#[derive(Default)]
struct RecentMessages {
    known: HashSet<(NodeTag, u64)>,
    order: VecDeque<(NodeTag, u64)>,
}

impl RecentMessages {
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

/// The topic of a room or of a whole namespace. The length separates the namespace's name from the room's.
fn topic(namespace: &Namespace, room: Option<&str>) -> String {
    let name = namespace.name();
    match room {
        Some(room) => format!("room:{}:{name}:{room}", name.len()),
        None => format!("namespace:{name}"),
    }
}

/// The topics that reach all nodes with selected sockets. A single socket on this node needs none; another
/// may be on any node.
fn topics(namespace: &Namespace, selection: &Selection) -> HashSet<String> {
    if selection.rooms.is_empty() {
        return HashSet::from([topic(namespace, None)]);
    }
    let rooms = selection.rooms.iter();
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

/// Sockets grouped by node.
type ByNode = HashMap<NodeTag, HashSet<SocketId>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_detected_and_few_are_remembered() {
        let (mut recent, node) = (RecentMessages::default(), NodeTag::random());
        assert!(recent.insert((node, 0)));
        assert!(!recent.insert((node, 0)));
        assert!(recent.insert((NodeTag::random(), 0)));
        for number in 1..10_000 {
            assert!(recent.insert((node, number)));
        }
        assert_eq!((recent.known.len(), recent.order.len()), (REMEMBERED, REMEMBERED));
    }
}
