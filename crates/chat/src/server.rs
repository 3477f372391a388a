//! The chat server: construction, wiring and lifecycle of all parts.

use std::{
    hash::RandomState,
    sync::{Arc, OnceLock, atomic::AtomicU64},
};

use parking_lot::Mutex;
use rand::RngExt as _;
use roomful_socket::{Drain, Namespace, WebSocketServer};
use roomful_store::Store;
use tokio::sync::Semaphore;

use crate::{
    alarm::Alarm,
    app::App,
    clock::{Clock, SystemClock},
    cluster::{self, Cluster, ClusterConfig},
    config::ChatConfig,
    controller,
    error::ChatError,
    events::connection::{DRAINING, Draining},
    handlers::connection,
    keyed_mutex::KeyedMutex,
    log::{pipeline::Pipeline, position::LogCursor},
    message_rate::MessageRate,
    metrics::Metrics,
    middleware::{admission::admit, connection_gate::ConnectionGate, rate_limit::RateLimiters},
    notifications::server::NotificationServer,
    presence::server::PresenceServer,
    recovery::{self, Remembered},
    room_manager::RoomManager,
    stats::{NodeStats, Stats},
    types::{Notified, Notify},
    typing::server::TypingServer,
    unread::UnreadPublisher,
};

/// Locks for changes of memberships; two of one user in one room never run at the same time.
const MEMBERSHIP_LOCKS: usize = 4_096;

/// Chat and presence on a Socket.IO server. Clones are the same server.
#[derive(Clone)]
pub struct ChatServer {
    pub(crate) app: Arc<App>,
}

impl ChatServer {
    /// Serves chat in the namespace `/` of `server`, on the machine's clock. Call it inside a tokio runtime and
    /// before the server takes clients, and not twice for one server.
    ///
    /// The server's own handlers keep the chat alive: dropping what this returns does not end it.
    pub fn attach(server: &WebSocketServer, store: Arc<dyn Store>, config: ChatConfig) -> Self {
        Self::attach_with_clock(server, store, config, Arc::new(SystemClock))
    }

    /// The same on another clock, for tests.
    pub fn attach_with_clock(
        server: &WebSocketServer,
        store: Arc<dyn Store>,
        config: ChatConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::attach_to(server, store, config, clock, None)
    }

    /// The same as one of several nodes that share the store.
    pub fn attach_to(
        server: &WebSocketServer,
        store: Arc<dyn Store>,
        config: ChatConfig,
        clock: Arc<dyn Clock>,
        cluster: Option<ClusterConfig>,
    ) -> Self {
        let cluster = cluster.map(Cluster::new);
        let app = Arc::new(App::new(server.of("/"), store, config, clock, cluster));
        // Once per chat.
        let _ = app.pipeline.app.set(Arc::downgrade(&app));
        app.start_alarms();
        App::listen(&app);
        let gate = Arc::clone(&app.gate);
        server.accept_while(move || gate.is_open());
        if let Some(cluster) = &app.cluster {
            cluster::start(&app, cluster);
        }
        Self { app }
    }

    /// What is going on now on this node.
    pub fn stats(&self) -> Stats {
        self.app.stats()
    }

    /// This node's name; `local` where there is no cluster.
    pub fn node(&self) -> &str {
        let cluster = self.app.cluster.as_ref();
        cluster.map_or("local", |cluster| cluster.node())
    }

    /// What is going on on the other nodes.
    ///
    /// # Errors
    /// `unavailable` if nobody can say.
    pub async fn other_nodes(&self) -> Result<Vec<NodeStats>, ChatError> {
        match &self.app.cluster {
            Some(cluster) => cluster.other_nodes().await,
            None => Ok(Vec::new()),
        }
    }

    /// Whether clients are welcome: not while this node has lost its part in its cluster.
    pub fn is_serving(&self) -> bool {
        self.app.gate.takes_part()
    }

    /// Waits until this node has its part in its cluster, if it is in one.
    pub async fn takes_part(&self) {
        self.app.presence.takes_part().await;
    }

    /// Clients that are sent away are told before, by `server:draining`: when to come back at the earliest, each at another
    /// time.
    pub fn hinting(&self, drain: Drain) -> Drain {
        let app = Arc::clone(&self.app);
        drain.before_wave(move |sockets| {
            for socket in sockets {
                let hint = Draining {
                    retry_after_ms: rand::rng().random_range(0..1_000),
                };
                if let Err(error) = socket.emit(DRAINING, &hint) {
                    tracing::debug!(%error, "a client that is sent away can't be told");
                }
            }
            app.metrics.sent_away.increment(sockets.len() as u64);
        })
    }

    /// The first step of going down, before the transport closes: takes no further sends (they are refused as
    /// `unavailable`) and waits until every one that was accepted is committed and answered.
    pub async fn stop_sends(&self) {
        self.app.pipeline.stop().await;
    }

    /// Posts a notification to users, wherever they are: live to all sockets of those who are connected, and to each
    /// other device of theirs when it comes back, once.
    ///
    /// Post again under the same `id` if the outcome is unknown.
    ///
    /// # Errors
    /// `invalid_request` or `payload_too_large` for what may not be posted, `conflict` if the id stands for another
    /// notification, `unavailable` if the store or the server can't take it now.
    pub async fn notify(&self, notify: Notify) -> Result<Notified, ChatError> {
        self.app.notifications.post(notify).await
    }

    /// The last step before the store is closed, after the transport was: [`ChatServer::stop_sends`], if that was not
    /// called, and then notes when the users who are still online were last seen.
    pub async fn drain(&self) {
        self.app.pipeline.stop().await;
        self.app.notifications.drain().await;
        self.app.presence.note_last_seen().await;
        self.app.presence.close().await;
    }
}

impl App {
    fn new(
        namespace: Namespace,
        store: Arc<dyn Store>,
        config: ChatConfig,
        clock: Arc<dyn Clock>,
        cluster: Option<Arc<Cluster>>,
    ) -> Self {
        let metrics = Arc::new(Metrics::new());
        let rooms = RoomManager::new(Arc::clone(&store), Arc::clone(&clock), cluster.clone());
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
        let unread = Arc::new(UnreadPublisher::new(
            &config,
            &store,
            &clock,
            &namespace,
            &presence,
            &connections,
        ));
        let log = Arc::new(LogCursor::starting(store.log_head(), config.recovery.is_on()));
        let pipeline = Pipeline {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            namespace: namespace.clone(),
            metrics: Arc::clone(&metrics),
            rooms: Arc::clone(&rooms),
            log: Arc::clone(&log),
            unread: Arc::clone(&unread),
            cluster: cluster.clone(),
            delivering: tokio::sync::Mutex::default(),
            app: OnceLock::new(),
            room_queue: config.room_queue,
            server_queue: config.server_queue,
            places: Arc::new(Semaphore::new(config.server_queue as usize)),
            queue: Mutex::default(),
        };
        Self {
            gate: Arc::new(ConnectionGate::new(&clock, cluster.as_ref())),
            limiters: RateLimiters::new(config.rates, Arc::clone(&clock)),
            connections,
            unread,
            serials: AtomicU64::new(first_serial(cluster.is_some())),
            last_revocation: AtomicU64::new(0),
            calls: Arc::new(Semaphore::new(config.posts_in_flight.max(1) as usize)),
            pace: Mutex::new(MessageRate::starting(clock.now_ms())),
            pace_alarm: Alarm::default(),
            log,
            pipeline: Arc::new(pipeline),
            typing: Arc::new(TypingServer::new(
                config.typing,
                &clock,
                &rooms,
                &namespace,
                cluster.clone(),
            )),
            recovery: Remembered::starting(clock.now_ms(), &config.recovery),
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
            expiries: Mutex::default(),
            expiry_alarm: Alarm::default(),
            config,
            clock,
            store,
            namespace,
            metrics,
            rooms,
            cluster,
        }
    }

    fn start_alarms(self: &Arc<Self>) {
        self.presence.start_alarm();
        self.presence.start_delivery();
        self.typing.start_alarm();
        self.notifications.start_saving();
        self.unread.start_alarm();
        let next = |app: &Self| app.expiries.lock().next();
        let tick = |app: Arc<Self>, now| async move { app.expire(now) };
        self.expiry_alarm
            .spawn(Arc::clone(&self.clock), Arc::downgrade(self), next, tick);
        recovery::start_beating(self);
        let next = |app: &Self| Some(app.pace.lock().next_sample());
        let tick = |app: Arc<Self>, now| async move { app.pace.lock().sample(now, app.metrics.messages()) };
        self.pace_alarm
            .spawn(Arc::clone(&self.clock), Arc::downgrade(self), next, tick);
    }

    fn listen(app: &Arc<Self>) {
        let namespace = &app.namespace;
        let at_the_door = Arc::clone(app);
        namespace.use_middleware(move |socket| {
            let app = Arc::clone(&at_the_door);
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

/// Serials tell the sessions of a process apart; in a cluster, with near certainty, those of all processes, since the store
/// knows by them who has a session.
fn first_serial(in_cluster: bool) -> u64 {
    if in_cluster {
        u64::from(rand::rng().random_range(1..u32::MAX >> 1)) << 32
    } else {
        1
    }
}
