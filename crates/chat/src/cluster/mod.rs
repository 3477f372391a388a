//! A node's part in a cluster: several nodes on one store, each of which follows the one log.
//!
//! | file | what |
//! |---|---|
//! | `publisher`, `bus_message` | messages to the other nodes |
//! | `bus_listener` | messages of the other nodes |
//! | `node_events` | what the cluster calls on its node |
//! | `position_poller` | asking the store how far the log is, whatever the bus loses |
//! | `control_writer` | control entries: commands to all nodes |
//! | `node_queries` | questions that operators ask of all nodes |
//! | `registry` | entries of living nodes, and duties that one node has for all |
//! | `lease`, `boot_clock` | how long this node's entries are valid |
//! | `watermark_filter` | dropping marks that are older than what clients have |
//!
//! The store is the source of truth, the bus makes it quick. A commit is announced on the topic `log`
//! to all nodes, and its entries on the topics of their rooms, to which the nodes subscribe that have the
//! room in memory. Entries that do not arrive in a moment are backfilled from the store, and each node asks
//! the store at intervals for commits that were never announced.

mod boot_clock;
mod bus_listener;
mod bus_message;
mod control_writer;
mod lease;
mod node_events;
mod node_queries;
mod position_poller;
mod publisher;
mod registry;
mod watermark_filter;

use std::{
    collections::HashMap,
    sync::{Arc, Weak, atomic::AtomicBool},
    time::Duration,
};

use ::metrics::{Counter, counter};
use parking_lot::Mutex;
use roomful_bus::{Bus, Subscription};
use roomful_store::{FencingTokens, RoomId, Store};
use roomful_supervisor::supervise;
use serde_json::Value;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use self::{
    bus_listener::BusListener, lease::Lease, node_queries::OpenQueries, watermark_filter::WatermarkFilter,
};
pub(crate) use self::{
    bus_message::UserMessage,
    node_events::NodeEvents,
    node_queries::{NodeAnswer, NodeQuery},
    publisher::CommittedEntry,
};
use crate::{
    clock::Clock,
    log::{control::ControlRoom, inbox::EntryInbox, position::LogCursor},
    metrics::Tally,
    room_manager::RoomTopics,
    types::UserId,
};

/// The topic on which all commits are announced.
const LOG: &str = "log";

/// How this node takes part in a cluster.
#[derive(Clone)]
pub struct ClusterConfig {
    /// This node's end of the bus.
    pub bus: Arc<dyn Bus>,
    /// This node's name, for logs and figures.
    pub node: String,
    /// Fields for this node's registry entry, beside its name and its figures.
    pub info: serde_json::Map<String, Value>,
    /// How long this node's registry entries stay valid without a heartbeat. The node sends three heartbeats
    /// in this time, and closes its connections before the time is over if they fail.
    pub lease: Duration,
    /// The interval at which the node asks the store for commits of other nodes. If the bus loses a
    /// commit, it arrives after this time at the latest.
    pub poll: Duration,
}

/// This node's part in the cluster.
pub(crate) struct Cluster {
    config: ClusterConfig,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    cursor: Arc<LogCursor>,
    inbox: Arc<EntryInbox>,
    control_room: Arc<ControlRoom>,
    /// The node that this is a part of.
    events: Weak<dyn NodeEvents>,
    lease: Lease,
    /// How long this node's users stay online after it has left.
    grace: Duration,
    /// Asks the task that keeps the lease to give it back.
    leaving: Notify,
    /// The task has given the lease back.
    has_left: watch::Sender<bool>,
    /// For events that carry marks.
    pub(crate) watermarks: WatermarkFilter,
    listener: Arc<BusListener>,
    queries: OpenQueries,
    /// Subscriptions to the commits and to the control room.
    log_topic: Mutex<Option<Subscription>>,
    control_topic: Mutex<Option<Subscription>>,
    /// The users who are connected here or watched from here, each with the number of these uses and the
    /// subscription to the user's topic.
    users: Mutex<HashMap<UserId, (u32, Subscription)>>,
    /// The registry does not know this node any more.
    forgotten: Notify,
    /// A heartbeat is under way, or was not answered.
    heartbeat_open: AtomicBool,
    /// After a loss of the registry's content: until this time, entries of other nodes may be missing.
    incomplete_until: Mutex<Option<Instant>>,
    leases_lost: Counter,
    /// Clients whose connections this node has closed because it lost its lease.
    clients_disconnected: Tally,
}

/// The parts that a [`Cluster`] works with.
pub(crate) struct ClusterParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cursor: Arc<LogCursor>,
    pub(crate) inbox: Arc<EntryInbox>,
    pub(crate) control_room: Arc<ControlRoom>,
    pub(crate) events: Weak<dyn NodeEvents>,
    /// How long this node's users stay online after it has left.
    pub(crate) grace: Duration,
}

impl Cluster {
    pub(crate) fn new(config: ClusterConfig, parts: ClusterParts) -> Arc<Self> {
        let ClusterParts {
            store,
            clock,
            cursor,
            inbox,
            control_room,
            events,
            grace,
        } = parts;
        Arc::new_cyclic(|cluster| Self {
            lease: Lease::new(&config.node),
            grace,
            leaving: Notify::new(),
            has_left: watch::Sender::new(false),
            config,
            store,
            clock,
            cursor,
            inbox,
            control_room,
            events,
            watermarks: WatermarkFilter::default(),
            listener: Arc::new(BusListener(Weak::clone(cluster))),
            queries: OpenQueries::default(),
            log_topic: Mutex::default(),
            control_topic: Mutex::default(),
            users: Mutex::default(),
            forgotten: Notify::new(),
            heartbeat_open: AtomicBool::new(false),
            incomplete_until: Mutex::default(),
            leases_lost: counter!("roomful_cluster_leases_lost_total"),
            clients_disconnected: Tally::new(counter!("roomful_cluster_clients_disconnected_total")),
        })
    }

    /// Listens to the other nodes, keeps the lease and follows the log, until this node is gone.
    pub(crate) fn start(self: &Arc<Self>) {
        *self.log_topic.lock() = Some(self.subscribe(LOG));
        self.listen_to_queries();
        self.store.fence(self.fencing_tokens());
        let (for_lease, for_poller) = (Arc::clone(self), Arc::clone(self));
        supervise("lease", move || lease::keep(Arc::clone(&for_lease))).detach();
        let poll = move || position_poller::run(Arc::clone(&for_poller));
        supervise("position poller", poll).detach();
    }

    /// How long a node counts as alive without a heartbeat, in milliseconds.
    pub(crate) fn lease_ms(&self) -> i64 {
        i64::try_from(self.config.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// The number of this node's present lease, as long as it lasts. The store checks it before it commits.
    fn fencing_tokens(self: &Arc<Self>) -> FencingTokens {
        let cluster = Arc::downgrade(self);
        Arc::new(move || cluster.upgrade()?.lease.number())
    }

    /// This node's name.
    pub(crate) fn node(&self) -> &str {
        &self.config.node
    }

    /// Gives this node's lease back, if it has one. Other nodes stop listing it at once; its users stay
    /// online for the grace.
    pub(crate) async fn leave(&self) {
        self.leaving.notify_one();
        let mut has_left = self.has_left.subscribe();
        let left = has_left.wait_for(|has_left| *has_left);
        if tokio::time::timeout(lease::LEAVE_TIMEOUT * 2, left)
            .await
            .is_err()
        {
            tracing::warn!("failed to give the lease back in time, it expires by itself");
        }
    }

    /// Waits until this node has a lease.
    pub(crate) async fn lease_held(&self) {
        self.lease.acquired().await;
    }

    /// Whether this node has a lease.
    pub(crate) fn has_lease(&self) -> bool {
        self.lease.lasts()
    }

    /// How many clients this node has disconnected since its start because it lost its lease.
    pub(crate) fn clients_disconnected(&self) -> u64 {
        self.clients_disconnected.count()
    }

    /// The name of this node's present incarnation, which no earlier one has had.
    pub(crate) fn incarnation(&self) -> Arc<str> {
        self.lease.incarnation()
    }

    /// Whether this incarnation of this node is the registry's `member`.
    pub(crate) fn is_own_incarnation(&self, member: &str) -> bool {
        *self.lease.incarnation() == *member
    }

    // ---- topics

    fn subscribe(&self, topic: &str) -> Subscription {
        let listener: Arc<BusListener> = Arc::clone(&self.listener);
        self.config.bus.subscribe(topic, listener)
    }

    /// A user is connected or watched from here once more.
    pub(crate) fn retain_user(&self, user: &UserId) {
        let mut users = self.users.lock();
        let subscribe = || (0, self.subscribe(&user_topic(user)));
        users.entry(Arc::clone(user)).or_insert_with(subscribe).0 += 1;
    }

    /// Whether a user is connected or watched from here.
    pub(crate) fn is_here(&self, user: &str) -> bool {
        self.users.lock().contains_key(user)
    }

    /// Undoes one [`retain_user`](Self::retain_user).
    pub(crate) fn release_user(&self, user: &UserId) {
        let mut users = self.users.lock();
        if let Some((count, _)) = users.get_mut(user) {
            *count -= 1;
            let gone = if *count == 0 { users.remove(user) } else { None };
            drop(users);
            drop(gone);
        }
    }
}

impl RoomTopics for Cluster {
    fn subscribe_room(&self, room: RoomId) -> Subscription {
        self.subscribe(&room_topic(room))
    }
}

fn room_topic(room: RoomId) -> String {
    format!("room:{room}")
}

fn user_topic(user: &str) -> String {
    format!("user:{user}")
}
