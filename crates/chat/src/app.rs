//! The state that all handlers share, and the context of one event.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, atomic::AtomicU64},
};

use parking_lot::Mutex;
use roomful_socket::{Class, Namespace, Reason, Socket, SocketId};
use roomful_store::Store;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::{
    alarm::Alarm,
    clock::Clock,
    cluster::Cluster,
    config::ChatConfig,
    deadlines::Deadlines,
    error::ChatError,
    handlers::membership,
    keyed_mutex::KeyedMutex,
    log::{pipeline::Pipeline, position::LogCursor},
    message_rate::MessageRate,
    metrics::Metrics,
    middleware::{admission::UserConnections, connection_gate::ConnectionGate, rate_limit::RateLimiters},
    notifications::server::NotificationServer,
    presence::server::PresenceServer,
    recovery::Remembered,
    reply::emit_error,
    room::{Room, Subscriber},
    room_manager::{RoomManager, RoomRef},
    session::Session,
    stats::Stats,
    types::{Claims, RoomName, UserId},
    typing::server::TypingServer,
    unread::UnreadPublisher,
};

/// What the handlers share.
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
    /// A serial taken by the latest revocation: sessions with lower ones may not have heard of it.
    pub(crate) last_revocation: AtomicU64,
    pub(crate) rooms: Arc<RoomManager>,
    pub(crate) log: Arc<LogCursor>,
    pub(crate) pipeline: Arc<Pipeline>,
    /// The other nodes, if there are any.
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) recovery: Remembered,
    pub(crate) presence: Arc<PresenceServer>,
    pub(crate) notifications: Arc<NotificationServer>,
    pub(crate) typing: Arc<TypingServer>,
    pub(crate) unread: Arc<UnreadPublisher>,
    /// One place for each message that is being posted from within the process.
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) pace: Mutex<MessageRate>,
    pub(crate) pace_alarm: Alarm,
    /// Makes the keys under which a newer event replaces an older one.
    pub(crate) keys: RandomState,
    /// One change of a user's membership in a room at a time: a join on one device and a leave on another take effect
    /// one after the other, in store, room and presence alike. Async, since both wait for the store.
    pub(crate) memberships: KeyedMutex,
    /// When each socket's token, and with it the socket, ends.
    pub(crate) expiries: Mutex<Deadlines<SocketId>>,
    pub(crate) expiry_alarm: Alarm,
}

impl App {
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

    /// Tells the sockets in a room something that is no entry; of those here, the ones for which `which` holds.
    /// `grown`: something of this user has grown so far, and takes the place of what waits to be told of it.
    pub(crate) fn tell_room<T: Serialize>(
        &self,
        room: &Room,
        event: &str,
        data: &T,
        grown: Option<(&UserId, u64)>,
        which: impl FnMut(&Subscriber) -> bool,
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
        which: impl FnMut(&Subscriber) -> bool,
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
    ) -> tokio::sync::MutexGuard<'_, ()> {
        self.memberships.lock((user, room.id)).await
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
    pub(crate) fn expire(&self, now: i64) {
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

/// Where a handler stands: in whose chat, on which socket.
pub(crate) struct Context {
    pub(crate) app: Arc<App>,
    pub(crate) socket: Socket,
    pub(crate) me: Arc<Session>,
}

impl Context {
    /// A room that the user is a member of and may use. Forbidden and unknown rooms answer alike.
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
            .open(name, false)
            .await?
            .ok_or(ChatError::Forbidden)?;
        let member = self.app.store.member(room.id, &self.me.user).await?;
        member.map(|_| room).ok_or(ChatError::Forbidden)
    }
}
