//! The chat server: construction, wiring and lifecycle of all parts.

use std::{
    hash::RandomState,
    sync::{Arc, Weak, atomic::AtomicU64},
    time::Duration,
};

use ::metrics::counter;
use parking_lot::Mutex;
use rand::RngExt as _;
use roomful_socket::{Drain, Namespace, WebSocketServer};
use roomful_store::Store;
use tokio::sync::Semaphore;

use crate::{
    alarm::Alarm,
    app::App,
    clock::{Clock, SystemClock},
    cluster::{Cluster, ClusterConfig, ClusterParts},
    config::ChatConfig,
    controller,
    error::ChatError,
    events::connection::{DRAINING, Draining},
    handlers::connection,
    keyed_mutex::KeyedMutex,
    log::{
        self,
        appender::{Appender, AppenderParts},
        control::ControlRoom,
        follower::{ClusterLog, Follower, FollowerParts},
        inbox::EntryInbox,
        position::LogCursor,
    },
    message_rate::MessageRate,
    metrics::Metrics,
    middleware::{admission::admit, connection_gate::ConnectionGate, rate_limit::RateLimiters},
    notifications::server::NotificationServer,
    personal_data::compaction::Compaction,
    presence::server::PresenceServer,
    profiles::Profiles,
    recovery::{self, registry::SessionRegistry},
    room_manager::{RoomManager, RoomTopics},
    stats::{NodeStats, Stats},
    stats_history::{STEP_MS, StatsSample},
    types::{Notified, Notify},
    typing::server::TypingServer,
    unread::UnreadPublisher,
};

/// Locks for changes of memberships; two of one user in one room never run at the same time.
const MEMBERSHIP_LOCKS: usize = 4_096;

/// Chat and presence on a Socket.IO server. Clones share one server.
#[derive(Clone)]
pub struct ChatServer {
    pub(crate) app: Arc<App>,
}

impl ChatServer {
    /// Serves chat in the namespace `/` of `server`, on the machine's clock. Call it once for each server,
    /// inside a tokio runtime and before the server accepts clients.
    ///
    /// The handlers of the server keep the chat alive: dropping the return value does not end it.
    pub fn attach(server: &WebSocketServer, store: Arc<dyn Store>, config: ChatConfig) -> Self {
        Self::attach_with_clock(server, store, config, Arc::new(SystemClock))
    }

    /// Like [`attach`](Self::attach), on another clock, for tests.
    pub fn attach_with_clock(
        server: &WebSocketServer,
        store: Arc<dyn Store>,
        config: ChatConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::attach_to(server, store, config, clock, None)
    }

    /// Like [`attach`](Self::attach), as one of several nodes that share the store.
    pub fn attach_to(
        server: &WebSocketServer,
        store: Arc<dyn Store>,
        config: ChatConfig,
        clock: Arc<dyn Clock>,
        cluster: Option<ClusterConfig>,
    ) -> Self {
        let app = App::start(server.of("/"), store, config, clock, cluster);
        let (gate, faults) = (Arc::clone(&app.gate), Arc::clone(&app.faults));
        server.accept_while(move || gate.is_open() && !faults.has_outage());
        Self { app }
    }

    /// The figures of this node.
    pub fn stats(&self) -> Stats {
        self.app.stats()
    }

    /// The figures of this node and of the others over the last three hours, every 15 seconds, oldest first.
    pub fn stats_history(&self) -> Vec<StatsSample> {
        self.app.stats_history.lock().samples()
    }

    /// Milliseconds between two samples of [`stats_history`](Self::stats_history).
    pub const STATS_INTERVAL_MS: i64 = STEP_MS;

    /// This node's name; `local` without a cluster.
    pub fn node(&self) -> &str {
        self.app.node()
    }

    /// The figures of the other nodes, as of their last heartbeats.
    ///
    /// # Errors
    /// `unavailable` if the registry can't be asked.
    pub async fn other_nodes(&self) -> Result<Vec<NodeStats>, ChatError> {
        match &self.app.cluster {
            Some(cluster) => cluster.other_nodes().await,
            None => Ok(Vec::new()),
        }
    }

    /// Whether this node accepts clients: not while it has no lease in its cluster.
    pub fn is_serving(&self) -> bool {
        self.app.gate.has_lease()
    }

    /// How many clients this node has disconnected since its start because it lost its lease.
    pub fn clients_disconnected(&self) -> u64 {
        let cluster = self.app.cluster.as_ref();
        cluster.map_or(0, |cluster| cluster.clients_disconnected())
    }

    /// Waits until this node has a lease in its cluster, if it is in one.
    pub async fn lease_held(&self) {
        if let Some(cluster) = &self.app.cluster {
            cluster.lease_held().await;
        }
    }

    /// Adds the event `server:draining` to a drain: before the server closes a connection, it tells the
    /// client the earliest time to reconnect. The times are spread.
    pub fn announce_drain(&self, drain: Drain) -> Drain {
        let app = Arc::clone(&self.app);
        drain.before_wave(move |sockets| {
            for socket in sockets {
                let hint = Draining {
                    retry_after_ms: rand::rng().random_range(0..1_000),
                };
                if let Err(error) = socket.emit(DRAINING, &hint) {
                    tracing::debug!(%error, "failed to announce the drain to a client");
                }
            }
            app.metrics.draining_notices.increment(sockets.len() as u64);
        })
    }

    /// The first step of a shutdown, before the transport closes: answers further sends with `unavailable`,
    /// and waits until all accepted ones are committed and answered.
    pub async fn stop_sends(&self) {
        self.app.appender.stop().await;
    }

    /// Posts a notification to users: at once to all sockets of connected devices, and once to each other
    /// device when it connects.
    ///
    /// If the outcome is unknown, post again under the same `id`.
    ///
    /// # Errors
    /// `invalid_request` and `payload_too_large` for an invalid notification, `conflict` if the id was used
    /// for another one, `unavailable` if the store or the server can't take it now.
    pub async fn notify(&self, notify: Notify) -> Result<Notified, ChatError> {
        self.app.notifications.post(notify).await
    }

    /// The last step of a shutdown, after the transport and before the store is closed: does what
    /// [`ChatServer::stop_sends`] does, stores when the users who are still online were last seen, and leaves
    /// the cluster.
    pub async fn drain(&self) {
        self.app.appender.stop().await;
        self.app.notifications.drain().await;
        self.app.presence.note_last_seen().await;
        self.app.presence.close().await;
        if let Some(cluster) = &self.app.cluster {
            cluster.leave().await;
        }
    }
}

impl App {
    /// Builds all parts and starts their tasks.
    fn start(
        namespace: Namespace,
        store: Arc<dyn Store>,
        config: ChatConfig,
        clock: Arc<dyn Clock>,
        cluster: Option<ClusterConfig>,
    ) -> Arc<Self> {
        let app = Arc::new_cyclic(|app| Self::new(app, namespace, store, config, clock, cluster));
        app.start_alarms();
        Self::listen(&app);
        if let Some(cluster) = &app.cluster {
            cluster.start();
        }
        app
    }

    /// `app` is the app that this builds, for the parts that call it.
    #[allow(
        clippy::too_many_lines,
        reason = "the one place that builds all parts, top-down"
    )]
    fn new(
        app: &Weak<Self>,
        namespace: Namespace,
        store: Arc<dyn Store>,
        config: ChatConfig,
        clock: Arc<dyn Clock>,
        cluster: Option<ClusterConfig>,
    ) -> Self {
        let metrics = Arc::new(Metrics::new());
        let head = store.log_head();
        let (inbox, started_at) = (Arc::new(EntryInbox::starting(&head)), head.position);
        let log = Arc::new(LogCursor::starting(head, config.recovery.is_on()));
        let control_room: Arc<ControlRoom> = Arc::default();
        let grace = Duration::from_millis(config.presence_grace_ms.max(0).unsigned_abs());
        let cluster = cluster.map(|config| {
            let parts = ClusterParts {
                store: Arc::clone(&store),
                clock: Arc::clone(&clock),
                cursor: Arc::clone(&log),
                inbox: Arc::clone(&inbox),
                control_room: Arc::clone(&control_room),
                events: app.clone(),
                grace,
            };
            Cluster::new(config, parts)
        });
        let topics = cluster.clone().map(|cluster| cluster as Arc<dyn RoomTopics>);
        let rooms = RoomManager::new(Arc::clone(&store), Arc::clone(&clock), topics);
        let connections = Arc::default();
        let presence = Arc::new(PresenceServer::new(
            &config,
            &store,
            &clock,
            &rooms,
            &connections,
            &namespace,
            &metrics,
            cluster.clone(),
        ));
        let profiles = Arc::new(Profiles::new(&store, config.profiles_cached));
        let unread = Arc::new(UnreadPublisher::new(
            &config,
            &store,
            &clock,
            &namespace,
            (&presence, &connections, &profiles),
        ));
        let follower = Arc::new(Follower::new(FollowerParts {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            namespace: namespace.clone(),
            metrics: Arc::clone(&metrics),
            rooms: Arc::clone(&rooms),
            cursor: Arc::clone(&log),
            unread: Arc::clone(&unread),
            profiles: Arc::clone(&profiles),
            inbox: Arc::clone(&inbox),
            cluster: cluster.as_ref().map(|_| ClusterLog {
                control_room: Arc::clone(&control_room),
                control_handler: app.clone(),
                backfills: counter!("roomful_cluster_backfills_total"),
            }),
        }));
        let parts = AppenderParts {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            cursor: Arc::clone(&log),
            inbox,
            follower: Arc::clone(&follower),
            cluster: cluster.clone(),
        };
        let appender = Arc::new(Appender::new(parts, &config));
        Self {
            gate: Arc::new(ConnectionGate::new(&clock, cluster.as_ref())),
            limiters: RateLimiters::new(config.rates, Arc::clone(&clock)),
            connections,
            unread,
            profiles,
            serials: AtomicU64::new(first_serial(cluster.is_some())),
            last_revocation: AtomicU64::new(0),
            last_moderation: AtomicU64::new(started_at.0),
            calls: Arc::new(Semaphore::new(config.posts_in_flight.max(1) as usize)),
            message_rate: Mutex::new(MessageRate::starting(clock.monotonic_ms())),
            stats_history: Mutex::default(),
            message_rate_alarm: Alarm::default(),
            log,
            _log_task: log::start(Arc::clone(&appender), Arc::clone(&follower)),
            appender,
            follower,
            typing: Arc::new(TypingServer::new(
                config.typing,
                &clock,
                &rooms,
                &namespace,
                cluster.clone(),
            )),
            recovery: SessionRegistry::starting(clock.monotonic_ms(), &config.recovery),
            presence,
            notifications: Arc::new(NotificationServer::new(
                &config,
                &store,
                &clock,
                &namespace,
                cluster.clone(),
            )),
            keys: RandomState::new(),
            memberships: KeyedMutex::new(MEMBERSHIP_LOCKS),
            member_lists: KeyedMutex::new(64),
            erasures: tokio::sync::Mutex::default(),
            compaction: Compaction::default(),
            erasure_interrupted: tokio::sync::Notify::new(),
            expiries: Mutex::default(),
            expiry_alarm: Alarm::on_wall_time(),
            faults: Arc::default(),
            config,
            clock,
            store,
            namespace,
            metrics,
            rooms,
            control_room,
            cluster,
        }
    }

    fn start_alarms(self: &Arc<Self>) {
        self.presence.start_alarm();
        self.presence.start_reports();
        self.typing.start_alarm();
        self.notifications.start_saving();
        self.unread.start_alarm();
        let next = |app: &Self| app.expiries.lock().next();
        let tick = |app: Arc<Self>, now| async move { app.expire(now) };
        self.expiry_alarm.spawn(
            "token expiry",
            Arc::clone(&self.clock),
            Arc::downgrade(self),
            next,
            tick,
        );
        recovery::start_beating(self);
        let next = |app: &Self| Some(app.message_rate.lock().next_sample());
        let tick = |app: Arc<Self>, now| async move { app.sample_stats(now).await };
        self.message_rate_alarm.spawn(
            "message rate",
            Arc::clone(&self.clock),
            Arc::downgrade(self),
            next,
            tick,
        );
    }

    fn listen(app: &Arc<Self>) {
        let namespace = &app.namespace;
        let on_admission = Arc::clone(app);
        namespace.use_middleware(move |socket| {
            let app = Arc::clone(&on_admission);
            async move { admit(&app, &socket).await }
        });
        let on_connect = Arc::clone(app);
        namespace.on_connect(move |socket| connection::connected(Arc::clone(&on_connect), socket));
        let on_event = Arc::clone(app);
        namespace.on_any(move |socket, event| controller::handle(Arc::clone(&on_event), socket, event));
        let on_disconnect = Arc::clone(app);
        namespace.on_disconnect(move |socket, reason| {
            connection::disconnected(Arc::clone(&on_disconnect), socket, reason)
        });
        if app.config.recovery.is_on() {
            recovery::offer(app);
        }
    }
}

/// The first serial of this process. Serials identify the sessions of a process. In a cluster they identify,
/// with near certainty, the sessions of all processes, since the store tells the owners of sessions apart by
/// them.
fn first_serial(in_cluster: bool) -> u64 {
    if in_cluster {
        u64::from(rand::rng().random_range(1..u32::MAX >> 1)) << 32
    } else {
        1
    }
}
