//! The state that all handlers share, and the context of one event.

mod content_rules;
mod control_handler;
mod hooks;
mod node_events;
mod node_queries;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, atomic::AtomicU64},
};

use parking_lot::Mutex;
use roomful_socket::{Class, Namespace, Reason, Socket, SocketId};
use roomful_store::{RoomId, SanctionKind, Store};
use roomful_supervisor::Supervised;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::{
    alarm::Alarm,
    clock::Clock,
    cluster::Cluster,
    config::ChatConfig,
    connections::UserConnections,
    deadlines::Deadlines,
    error::ChatError,
    events::connection::{SESSION_ENDED, SessionEnded, TOKEN_EXPIRING, TokenExpires},
    faults::Faults,
    keyed_mutex::KeyedMutex,
    log::{appender::Appender, control::ControlRoom, follower::Follower, position::LogCursor},
    message_rate::MessageRate,
    metrics::Metrics,
    middleware::{auth, connection_gate::ConnectionGate, rate_limit::RateLimiters},
    notifications::server::NotificationServer,
    personal_data::compaction::Compaction,
    presence::server::PresenceServer,
    profiles::Profiles,
    recovery::registry::SessionRegistry,
    reply::emit_error,
    room::{Frame, Room, Subscriber},
    room_manager::{RoomManager, RoomRef},
    session::Session,
    stats::Stats,
    stats_history::{StatsHistory, StatsSample},
    types::{Claims, RoomName, UserId},
    typing::server::TypingServer,
    unread::UnreadPublisher,
};

pub(crate) use self::{hooks::Sender, node_queries::NodeAnswers};

/// The state that all handlers share.
pub(crate) struct App {
    pub(crate) config: ChatConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) namespace: Namespace,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) gate: Arc<ConnectionGate>,
    pub(crate) limiters: RateLimiters,
    pub(crate) connections: Arc<UserConnections>,
    pub(crate) serials: AtomicU64,
    /// The serial taken by the latest revocation: sessions with lower serials may have missed it.
    pub(crate) last_revocation: AtomicU64,
    /// The position of the latest act of moderation, or of the log's head when this node started.
    pub(crate) last_moderation: AtomicU64,
    pub(crate) rooms: Arc<RoomManager>,
    pub(crate) log: Arc<LogCursor>,
    pub(crate) appender: Arc<Appender>,
    pub(crate) follower: Arc<Follower>,
    /// The task of the two, which ends with the app.
    pub(crate) _log_task: Supervised,
    /// The room of control entries.
    pub(crate) control_room: Arc<ControlRoom>,
    /// The other nodes, if there are any.
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) recovery: SessionRegistry,
    pub(crate) presence: Arc<PresenceServer>,
    pub(crate) notifications: Arc<NotificationServer>,
    pub(crate) typing: Arc<TypingServer>,
    pub(crate) unread: Arc<UnreadPublisher>,
    pub(crate) profiles: Arc<Profiles>,
    /// Permits for messages that are posted from within the process.
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) message_rate: Mutex<MessageRate>,
    pub(crate) stats_history: Mutex<StatsHistory>,
    pub(crate) message_rate_alarm: Alarm,
    /// Hashes the keys under which a newer event replaces an older one.
    pub(crate) keys: RandomState,
    /// Locked for a user and room while the membership changes: a join on one device and a leave on another
    /// take effect one after the other, in store, room and presence alike.
    pub(crate) memberships: KeyedMutex,
    /// Rooms whose backend sets all members: one such call at a time.
    pub(crate) member_lists: KeyedMutex,
    /// Held during an erasure, so that two never meet in the same rows.
    pub(crate) erasures: tokio::sync::Mutex<()>,
    pub(crate) compaction: Compaction,
    /// Notified when an erasure of this node has failed, and is to be resumed.
    pub(crate) erasure_interrupted: tokio::sync::Notify,
    /// When the token of each socket ends, and with it the socket.
    pub(crate) expiries: Mutex<Deadlines<SocketId>>,
    pub(crate) expiry_alarm: Alarm,
    pub(crate) faults: Arc<Faults>,
}

impl App {
    /// This node's name; `local` without a cluster.
    pub(crate) fn node(&self) -> &str {
        self.cluster.as_ref().map_or("local", |cluster| cluster.node())
    }

    /// The figures of this node.
    pub(crate) fn stats(&self) -> Stats {
        let messages = self.metrics.messages();
        Stats {
            connections: self.namespace.len(),
            users: self.presence.users_online(),
            rooms: self.rooms.len(),
            messages,
            per_second: self
                .message_rate
                .lock()
                .per_second(self.clock.monotonic_ms(), messages),
        }
    }

    /// Samples the rate of messages and, less often, all figures. `now` is monotonic.
    pub(crate) async fn sample_stats(&self, now: i64) {
        self.message_rate.lock().sample(now, self.metrics.messages());
        if !self.stats_history.lock().is_due(now) {
            return;
        }
        let others = match &self.cluster {
            Some(cluster) => cluster.other_nodes().await.ok(),
            None => Some(Vec::new()),
        };
        let sample = StatsSample {
            at: self.clock.now_ms(),
            stats: self.stats(),
            others,
        };
        self.stats_history.lock().add(now, sample);
    }

    /// Sends an event to each of the sockets.
    pub(crate) fn emit_to_sockets<T: Serialize>(&self, sockets: &[Socket], event: &str, data: &T) {
        if sockets.is_empty() {
            return;
        }
        match self.namespace.prepare(event, data) {
            Ok(event) => {
                for socket in sockets {
                    socket.send_prepared(&event, Class::Durable);
                }
            }
            Err(error) => tracing::error!(event, %error, "failed to encode an event"),
        }
    }

    /// Sends an event without a log entry to the room's sockets on all nodes; on this one, to those for which
    /// `which` holds. `mark` is the user and the value of the mark that the event carries: the event replaces
    /// a queued one with an older mark.
    pub(crate) fn emit_to_room<T: Serialize>(
        &self,
        room: &Room,
        event: &str,
        data: &T,
        mark: Option<(&UserId, u64)>,
        which: impl FnMut(&Subscriber) -> bool,
    ) {
        let here = mark.map(|(user, to)| (&**user, to));
        self.emit_to_room_locally(room, event, data, here, which);
        if let Some(cluster) = &self.cluster {
            cluster.publish_event(room.id, event, data, mark);
        }
    }

    /// Like [`emit_to_room`](Self::emit_to_room), on this node only.
    pub(crate) fn emit_to_room_locally<T: Serialize + ?Sized>(
        &self,
        room: &Room,
        event: &str,
        data: &T,
        mark: Option<(&str, u64)>,
        which: impl FnMut(&Subscriber) -> bool,
    ) {
        let mark = mark.map(|(user, to)| (self.keys.hash_one((event, room.id, user)), to));
        let class = mark.map_or(Class::Durable, |(key, _)| Class::Latest(key));
        let Some(frame) = Frame::encode(&self.namespace, event, data, class) else {
            return;
        };
        match (&self.cluster, mark) {
            // Another node may have sent a newer mark already.
            (Some(cluster), Some((key, to))) => cluster
                .watermarks
                .send_if_newer(key, to, || room.emit(&frame, which)),
            _ => room.emit(&frame, which),
        }
    }

    /// Locks this user's membership in this room, and the marks that belong to it.
    pub(crate) async fn one_membership_change(
        &self,
        user: &str,
        room: &Room,
    ) -> tokio::sync::MutexGuard<'_, ()> {
        self.memberships.lock((user, room.id)).await
    }

    /// Verifies a token at the present time. Waits while the server fetches a missing key from the token's
    /// issuer.
    ///
    /// # Errors
    /// `unauthorized`, `token_expired`; `unavailable` if the token's issuer does not answer.
    pub(crate) async fn verify(&self, token: &str) -> Result<Claims, ChatError> {
        let config = &self.config;
        let (now, times) = (self.clock.now_ms(), config.token_times());
        let mut claims = config.keys.verify_or_fetch(token, now, times).await?;
        self.faults.check_expired(claims.issued_at)?;
        claims.sees = claims.sees.or(Some(config.presence_visible_to));
        Ok(claims)
    }

    /// Refuses a token that was issued before its user's tokens were revoked, or that does not say when it
    /// was issued.
    ///
    /// # Errors
    /// `unauthorized`; `unavailable` and `internal` if the store failed.
    pub(crate) async fn check_revoked(&self, user: &str, issued_at: Option<i64>) -> Result<(), ChatError> {
        let Some(before) = self.store.revoked(user).await? else {
            return Ok(());
        };
        if auth::is_revoked(issued_at, before, self.clock.now_ms(), self.config.clock_skew_ms) {
            return Err(ChatError::Unauthorized(
                "the token was revoked, or is dated in the future right after a revocation; get a fresh one \
                 that says when it was issued (iat)",
            ));
        }
        Ok(())
    }

    /// Refuses a user with a ban from all rooms.
    ///
    /// # Errors
    /// `banned`; `unavailable` and `internal` if the store failed.
    pub(crate) async fn check_banned(&self, user: &str) -> Result<(), ChatError> {
        if self.store.is_banned(user, self.clock.now_ms()).await? {
            return Err(ChatError::Banned);
        }
        Ok(())
    }

    /// The error for a non-member of a room: `banned`, or `otherwise`.
    pub(crate) async fn not_member_error(
        &self,
        room: RoomId,
        user: &str,
        otherwise: ChatError,
    ) -> Result<ChatError, ChatError> {
        let is_banned = self.is_banned_from(Some(room), user).await?;
        Ok(if is_banned { ChatError::Banned } else { otherwise })
    }

    /// Whether a ban keeps the user out of the room, or out of all rooms.
    ///
    /// # Errors
    /// `unavailable` and `internal` if the store failed.
    pub(crate) async fn is_banned_from(&self, room: Option<RoomId>, user: &str) -> Result<bool, ChatError> {
        let now = self.clock.now_ms();
        let sanctions = self.store.sanctions_of(room, user, now).await?;
        Ok(sanctions
            .iter()
            .any(|sanction| sanction.kind == SanctionKind::Ban))
    }

    /// The time at which a socket is closed whose token ends at `expires_at`.
    pub(crate) fn closes_at(&self, expires_at: i64) -> i64 {
        expires_at.saturating_add(self.config.token_leeway_ms)
    }

    /// Announces the end of a socket's token in time, and closes the socket when the token has ended.
    /// Replaces what an earlier token of the socket has set.
    pub(crate) fn watch_expiry(&self, socket: SocketId, me: &Session) {
        let (now, expires_at) = (self.clock.now_ms(), me.expires_at());
        // A token that ends before the notice would be due gets it after half of its life.
        let (notice, left) = (self.config.expiry_notice_ms, expires_at.saturating_sub(now));
        let notice = if left > notice { notice } else { left / 2 };
        let due = if notice > 0 {
            expires_at - notice
        } else {
            self.closes_at(expires_at)
        };
        let mut expiries = self.expiries.lock();
        let was_next = expiries.next();
        expiries.clear(me.expiry_due(), &socket);
        expiries.set(due, socket);
        me.set_expiry_due(due);
        self.expiry_alarm.moved(was_next, expiries.next());
    }

    /// The socket is closed.
    pub(crate) fn forget_expiry(&self, socket: SocketId, me: &Session) {
        self.expiries.lock().clear(me.expiry_due(), &socket);
    }

    /// Announces the ends of tokens, and closes the sockets whose tokens have ended.
    pub(crate) fn expire(&self, now: i64) {
        while let Some((socket, expires_at)) = self.next_expiring(now) {
            match expires_at {
                Some(expires_at) => drop(socket.emit(TOKEN_EXPIRING, &TokenExpires { expires_at })),
                None => self.end_expired(&socket),
            }
        }
    }

    /// The next socket that is due, with the end of its token if that is still to come.
    fn next_expiring(&self, now: i64) -> Option<(Socket, Option<i64>)> {
        let mut expiries = self.expiries.lock();
        while let Some((_, id)) = expiries.pop_due(now) {
            let Some(socket) = self.namespace.socket(&id) else {
                continue;
            };
            let Some(me) = socket.state::<Session>() else {
                continue;
            };
            let (expires_at, closes_at) = (me.expires_at(), self.closes_at(me.expires_at()));
            if closes_at <= now {
                return Some((socket, None));
            }
            expiries.set(closes_at, id);
            me.set_expiry_due(closes_at);
            return Some((socket, Some(expires_at)));
        }
        None
    }

    /// Closes without a DISCONNECT packet, so that the stock client reconnects with a fresh token.
    fn end_expired(&self, socket: &Socket) {
        self.metrics.error(ChatError::TokenExpired.code());
        emit_error(socket, ChatError::TokenExpired.body(), None);
        drop(socket.emit(SESSION_ENDED, &SessionEnded::TOKEN_EXPIRED));
        socket.close(Reason::ForcedClose);
    }
}

/// The context of an event: the app, the socket and its session.
pub(crate) struct Context {
    pub(crate) app: Arc<App>,
    pub(crate) socket: Socket,
    pub(crate) me: Arc<Session>,
}

impl Context {
    /// A room that the user is a member of and that their token allows.
    ///
    /// # Errors
    /// `forbidden`, for unknown rooms too; `unavailable` and `internal` if the store failed.
    pub(crate) async fn my_room(&self, name: &RoomName) -> Result<RoomRef, ChatError> {
        if let Some(room) = self.me.joined(name) {
            return Ok(room);
        }
        if !self.me.allows(name) {
            return Err(ChatError::Forbidden);
        }
        let room = self
            .app
            .rooms
            .open(name, None)
            .await?
            .ok_or(ChatError::Forbidden)?;
        if self.app.store.member(room.id, &self.me.user).await?.is_some() {
            return Ok(room);
        }
        let why = self
            .app
            .not_member_error(room.id, &self.me.user, ChatError::Forbidden);
        Err(why.await?)
    }

    /// Checks the room and the connection again if hooks were asked about a message, which may take seconds.
    ///
    /// # Errors
    /// Those of [`Self::my_room`]; `unavailable` if the connection has ended, so that nothing is stored for a
    /// user after their removal.
    pub(crate) async fn check_after_hooks(&self, room: &Room) -> Result<(), ChatError> {
        if !self.app.asks_about_messages(room) {
            return Ok(());
        }
        if !self.socket.is_connected() {
            return Err(ChatError::Unavailable("the connection has ended meanwhile"));
        }
        self.my_room(&room.name).await.map(drop)
    }
}
