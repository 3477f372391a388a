//! The chat server: what all its parts share, and how it is attached to a transport.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, OnceLock, atomic::AtomicU64},
};

use parking_lot::Mutex;
use rand::RngExt as _;
use roomful_socket::{Class, Drain, Namespace, Reason, SocketId, WebSocketServer};
use roomful_store::Store;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{notification::NotificationServer, presence::PresenceServer};
use crate::{
    alarm::Alarm,
    clock::{Clock, SystemClock},
    cluster::{self, Cluster, ClusterConfig},
    config::ChatConfig,
    controller,
    deadlines::Deadlines,
    error::ChatError,
    events::connection::{DRAINING, Draining},
    handlers::{connection, membership, typing::TypingBoard},
    metrics::{Messages, Metrics},
    middleware::{
        admission::{UserConnections, admit},
        door::Door,
        rate_limit::RateLimiters,
    },
    pace::{Pace, PerSecond},
    presence_tracker::UserId,
    recovery::{self, Remembered},
    reply::emit_error,
    room::{Room, Seat, order::Order, pipeline::Pipeline},
    room_manager::RoomManager,
    types::{Claims, Notified, Notify},
    unread_board::UnreadBoard,
};

/// How many memberships may change at a time; two of one user in one room never do.
const MEMBERSHIP_LOCKS: u64 = 4_096;

/// Chat and presence on a Socket.IO server. Clones are the same server.
#[derive(Clone)]
pub struct ChatServer {
    pub(crate) chat: Arc<Chat>,
}

/// What is going on on one node, as of its last sign of life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStats {
    /// Its name.
    pub node: String,
    /// Its figures.
    pub stats: Stats,
}

/// What is going on, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// Authenticated connections.
    pub connections: usize,
    /// Users who are online; all devices of one count once.
    pub users: usize,
    /// Rooms in memory: those that somebody is subscribed to.
    pub rooms: usize,
    /// Messages since the start.
    pub messages: Messages,
    /// Messages a second, over the last minute or less.
    pub per_second: PerSecond,
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
        let chat = Arc::new(Chat::new(server.of("/"), store, config, clock, cluster));
        // Once per chat.
        let _ = chat.pipeline.chat.set(Arc::downgrade(&chat));
        chat.start_alarms();
        Chat::listen(&chat);
        let door = Arc::clone(&chat.door);
        server.accept_while(move || door.is_open());
        if let Some(cluster) = &chat.cluster {
            cluster::start(&chat, cluster);
        }
        Self { chat }
    }

    /// What is going on now on this node.
    pub fn stats(&self) -> Stats {
        self.chat.stats()
    }

    /// This node's name; `local` where there is no cluster.
    pub fn node(&self) -> &str {
        let cluster = self.chat.cluster.as_ref();
        cluster.map_or("local", |cluster| cluster.node())
    }

    /// What is going on on the other nodes.
    ///
    /// # Errors
    /// `unavailable` if nobody can say.
    pub async fn other_nodes(&self) -> Result<Vec<NodeStats>, ChatError> {
        match &self.chat.cluster {
            Some(cluster) => cluster.other_nodes().await,
            None => Ok(Vec::new()),
        }
    }

    /// Whether clients are welcome: not while this node has lost its part in its cluster.
    pub fn is_serving(&self) -> bool {
        self.chat.door.takes_part()
    }

    /// Waits until this node has its part in its cluster, if it is in one.
    pub async fn takes_part(&self) {
        self.chat.presence.takes_part().await;
    }

    /// Clients that are sent away are told before, by `server:draining`: when to come back at the earliest, each at another
    /// time.
    pub fn hinting(&self, drain: Drain) -> Drain {
        let chat = Arc::clone(&self.chat);
        drain.before_wave(move |sockets| {
            for socket in sockets {
                let hint = Draining {
                    retry_after_ms: rand::rng().random_range(0..1_000),
                };
                if let Err(error) = socket.emit(DRAINING, &hint) {
                    tracing::debug!(%error, "a client that is sent away can't be told");
                }
            }
            chat.metrics.sent_away.increment(sockets.len() as u64);
        })
    }

    /// The first step of going down, before the transport closes: takes no further sends (they are refused as
    /// `unavailable`) and waits until every one that was accepted is committed and answered.
    pub async fn stop_sends(&self) {
        self.chat.pipeline.stop().await;
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
        self.chat.notifications.post(notify).await
    }

    /// The last step before the store is closed, after the transport was: [`ChatServer::stop_sends`], if that was not
    /// called, and then notes when the users who are still online were last seen.
    pub async fn drain(&self) {
        self.chat.pipeline.stop().await;
        self.chat.notifications.drain().await;
        self.chat.presence.note_last_seen().await;
        self.chat.presence.close().await;
    }
}

/// What the handlers share.
pub(crate) struct Chat {
    pub(crate) config: ChatConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) namespace: Namespace,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) door: Arc<Door>,
    pub(crate) limiters: RateLimiters,
    pub(crate) connections: Arc<UserConnections>,
    pub(crate) serials: AtomicU64,
    /// A serial taken by the latest revocation: sessions with lower ones may not have heard of it.
    pub(crate) last_revocation: AtomicU64,
    pub(crate) rooms: Arc<RoomManager>,
    pub(crate) order: Arc<Order>,
    pub(crate) pipeline: Arc<Pipeline>,
    /// The other nodes, if there are any.
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) recovery: Remembered,
    pub(crate) presence: Arc<PresenceServer>,
    pub(crate) notifications: Arc<NotificationServer>,
    pub(crate) typing: Arc<TypingBoard>,
    pub(crate) unread: Arc<UnreadBoard>,
    /// One place for each message that is being posted from within the process.
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) pace: Mutex<Pace>,
    pace_alarm: Alarm,
    /// Makes the keys under which a newer event replaces an older one.
    pub(crate) keys: RandomState,
    /// One change of a user's membership in a room at a time: a join on one device and a leave on another take effect
    /// one after the other, in store, room and presence alike. Async, since both wait for the store.
    memberships: Box<[tokio::sync::Mutex<()>]>,
    /// When each socket's token, and with it the socket, ends.
    expiries: Mutex<Deadlines<SocketId>>,
    expiry_alarm: Alarm,
}

impl Chat {
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
        let unread = Arc::new(UnreadBoard::new(
            &config,
            &store,
            &clock,
            &namespace,
            &presence,
            &connections,
        ));
        let order = Arc::new(Order::starting(store.log_head(), config.recovery.is_on()));
        let pipeline = Pipeline {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            namespace: namespace.clone(),
            metrics: Arc::clone(&metrics),
            rooms: Arc::clone(&rooms),
            order: Arc::clone(&order),
            unread: Arc::clone(&unread),
            cluster: cluster.clone(),
            delivering: tokio::sync::Mutex::default(),
            chat: OnceLock::new(),
            room_queue: config.room_queue,
            server_queue: config.server_queue,
            places: Arc::new(Semaphore::new(config.server_queue as usize)),
            queue: Mutex::default(),
        };
        Self {
            door: Arc::new(Door::new(&clock, cluster.as_ref())),
            limiters: RateLimiters::new(config.rates, Arc::clone(&clock)),
            connections,
            unread,
            serials: AtomicU64::new(first_serial(cluster.is_some())),
            last_revocation: AtomicU64::new(0),
            calls: Arc::new(Semaphore::new(config.posts_in_flight.max(1) as usize)),
            pace: Mutex::new(Pace::starting(clock.now_ms())),
            pace_alarm: Alarm::default(),
            order,
            pipeline: Arc::new(pipeline),
            typing: Arc::new(TypingBoard::new(
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
            memberships: (0..MEMBERSHIP_LOCKS)
                .map(|_| tokio::sync::Mutex::default())
                .collect(),
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

    /// What is going on now on this node.
    pub(crate) fn stats(&self) -> Stats {
        let messages = self.metrics.messages();
        Stats {
            connections: self.namespace.len(),
            users: self.presence.users_online(),
            rooms: self.rooms.len(),
            messages,
            per_second: self.pace.lock().per_second(self.clock.now_ms(), messages),
        }
    }

    fn start_alarms(self: &Arc<Self>) {
        self.presence.start_alarm();
        self.presence.start_delivery();
        self.typing.start_alarm();
        self.notifications.start_saving();
        self.unread.start_alarm();
        let next = |chat: &Self| chat.expiries.lock().next();
        let tick = |chat: Arc<Self>, now| async move { chat.expire(now) };
        self.expiry_alarm
            .spawn(Arc::clone(&self.clock), Arc::downgrade(self), next, tick);
        recovery::start_beating(self);
        let next = |chat: &Self| Some(chat.pace.lock().next_sample());
        let tick =
            |chat: Arc<Self>, now| async move { chat.pace.lock().sample(now, chat.metrics.messages()) };
        self.pace_alarm
            .spawn(Arc::clone(&self.clock), Arc::downgrade(self), next, tick);
    }

    fn listen(chat: &Arc<Self>) {
        let namespace = &chat.namespace;
        let at_the_door = Arc::clone(chat);
        namespace.use_middleware(move |socket| {
            let chat = Arc::clone(&at_the_door);
            async move { admit(&chat, &socket).await }
        });
        let on_connect = Arc::clone(chat);
        namespace.on_connect(move |socket| connection::connected(Arc::clone(&on_connect), socket));
        let on_event = Arc::clone(chat);
        namespace.on_any(move |socket, event| controller::handle(Arc::clone(&on_event), socket, event));
        let on_disconnect = Arc::clone(chat);
        namespace.on_disconnect(move |socket, reason| {
            connection::disconnected(Arc::clone(&on_disconnect), socket, reason)
        });
        if chat.config.recovery.is_on() {
            recovery::offer(chat);
        }
    }

    /// Tells the sockets in a room something that is no entry; of those here, the ones for which `which` holds.
    /// `grown`: something of this user has grown so far, and takes the place of what waits to be told of it.
    pub(crate) fn tell_room<T: Serialize>(
        &self,
        room: &Room,
        event: &str,
        data: &T,
        grown: Option<(&UserId, u64)>,
        which: impl FnMut(&Seat) -> bool,
    ) {
        let here = grown.map(|(user, to)| (&**user, to));
        self.tell_room_here(room, event, data, here, which);
        if let Some(cluster) = &self.cluster {
            cluster.tell_event(room.id, event, data, grown);
        }
    }

    /// Likewise, but only those on this node.
    pub(crate) fn tell_room_here<T: Serialize + ?Sized>(
        &self,
        room: &Room,
        event: &str,
        data: &T,
        grown: Option<(&str, u64)>,
        which: impl FnMut(&Seat) -> bool,
    ) {
        let grown = grown.map(|(user, to)| (self.keys.hash_one((event, room.id, user)), to));
        let class = grown.map_or(Class::Durable, |(key, _)| Class::Latest(key));
        let Some(frame) = membership::frame(self, event, data, class) else {
            return;
        };
        match (&self.cluster, grown) {
            // Another node may have told more of it.
            (Some(cluster), Some((key, to))) => cluster.newest.tell(key, to, || room.tell(&frame, which)),
            _ => room.tell(&frame, which),
        }
    }

    /// Waits for the right to change this user's membership in this room, or the marks that belong to it.
    pub(crate) async fn one_membership_change(
        &self,
        user: &str,
        room: &Room,
    ) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let spread = self.keys.hash_one((user, room.id)) % MEMBERSHIP_LOCKS;
        let lock = usize::try_from(spread)
            .ok()
            .and_then(|at| self.memberships.get(at))?;
        Some(lock.lock().await)
    }

    /// Checks a token as of now.
    pub(crate) fn verify(&self, token: &str) -> Result<Claims, ChatError> {
        self.config
            .keys
            .verify(token, self.clock.now_ms(), self.config.clock_skew_ms)
    }

    /// Refuses a token that was issued before its user's tokens were revoked. One that does not say when it was issued
    /// may have been.
    pub(crate) async fn check_revoked(&self, user: &str, issued_at: Option<i64>) -> Result<(), ChatError> {
        match self.store.revoked(user).await? {
            Some(before) if issued_at.is_none_or(|at| at < before) => Err(ChatError::Unauthorized(
                "the token was revoked; get a fresh one that says when it was issued (iat)",
            )),
            _ => Ok(()),
        }
    }

    /// When a socket whose token ends at `expires_at` is closed.
    pub(crate) fn closes_at(&self, expires_at: i64) -> i64 {
        expires_at.saturating_add(self.config.token_leeway_ms)
    }

    /// A socket's token ends at `expires_at`; `before` is when its former one would have.
    pub(crate) fn watch_expiry(&self, socket: SocketId, before: Option<i64>, expires_at: i64) {
        let mut expiries = self.expiries.lock();
        let was_next = expiries.next();
        if let Some(before) = before {
            expiries.clear(self.closes_at(before), &socket);
        }
        expiries.set(self.closes_at(expires_at), socket);
        self.expiry_alarm.moved(was_next, expiries.next());
    }

    /// The socket is gone.
    pub(crate) fn forget_expiry(&self, socket: SocketId, expires_at: i64) {
        self.expiries.lock().clear(self.closes_at(expires_at), &socket);
    }

    /// Closes the sockets whose time is over. They may come back with a fresh token, hence no DISCONNECT packet.
    fn expire(&self, now: i64) {
        loop {
            let due = self.expiries.lock().pop_due(now);
            let Some((_, id)) = due else { return };
            let Some(socket) = self.namespace.socket(&id) else {
                continue;
            };
            self.metrics.error(ChatError::TokenExpired.code());
            emit_error(&socket, ChatError::TokenExpired.body(), None);
            socket.close(Reason::ForcedClose);
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
