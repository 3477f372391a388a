//! The presence server: tells the right sockets, once each, who came online and who went.
//!
//! Told are those who share a room with the user and those who subscribed to them, never the user. The rules of being
//! online stand in `presence_tracker`; here are the sockets, the store and the clock.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use futures_util::StreamExt;
use parking_lot::Mutex;
use roomful_socket::{Class, Namespace, Socket, SocketId};
use roomful_store::{RoomId, Store};
use serde::Serialize;

use crate::{
    alarm::Alarm,
    clock::Clock,
    config::ChatConfig,
    delivery::{happenings::Happenings, undelivered},
    error::ChatError,
    events::presence::{OFFLINE, ONLINE, Offline, Online, State, Status},
    metrics::{Metrics, count},
    presence_tracker::{OnlineEntry, PresenceTracker, UserId},
    room::Room,
    room_manager::RoomManager,
    session::Session,
};

/// How many users' last words are written at a time.
const WRITES_AT_A_TIME: usize = 64;

/// Who is online, and who wants to know.
pub(crate) struct PresenceServer {
    /// Held while a change is announced, so that nobody hears of two changes in the wrong order.
    tracker: Mutex<PresenceTracker<RoomId>>,
    /// Who subscribed to whom. Bounded by `watched_per_socket` for each socket.
    watchers: Mutex<HashMap<UserId, HashMap<SocketId, Socket>>>,
    alarm: Alarm,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    rooms: Arc<RoomManager>,
    namespace: Namespace,
    metrics: Arc<Metrics>,
    announce_max: usize,
    rooms_of_user: u32,
    keys: RandomState,
    happenings: Happenings,
}

impl PresenceServer {
    pub(crate) fn new(
        config: &ChatConfig,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        rooms: &Arc<RoomManager>,
        namespace: &Namespace,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self {
            tracker: Mutex::new(PresenceTracker::new(config.presence_grace_ms)),
            watchers: Mutex::default(),
            alarm: Alarm::default(),
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            rooms: Arc::clone(rooms),
            namespace: namespace.clone(),
            metrics: Arc::clone(metrics),
            announce_max: config.announce_max,
            rooms_of_user: config.rooms_of_user,
            keys: RandomState::new(),
            happenings: Happenings::start(store, clock),
        }
    }

    pub(crate) fn start_alarm(self: &Arc<Self>) {
        let next = |presence: &Self| presence.tracker.lock().next_deadline();
        let tick = |presence: Arc<Self>, now| async move { presence.tick(now) };
        self.alarm
            .spawn(Arc::clone(&self.clock), Arc::downgrade(self), next, tick);
    }

    /// Starts what tells the outbox: who did not come back after a restart, and who has not got a message.
    pub(crate) fn start_delivery(self: &Arc<Self>) {
        if self.store.outbox().is_none() {
            return;
        }
        let presence = Arc::clone(self);
        tokio::spawn(async move {
            let Self {
                happenings,
                store,
                clock,
                ..
            } = &*presence;
            happenings
                .await_returning(&**store, &**clock, |user| presence.is_online(user))
                .await;
        });
        let presence = Arc::downgrade(self);
        let is_online = move |user: &UserId| {
            presence
                .upgrade()
                .is_some_and(|presence| presence.is_online(user))
        };
        tokio::spawn(undelivered::watch(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            is_online,
        ));
    }

    /// Writes what waits for the outbox, and takes no more.
    pub(crate) async fn close(&self) {
        self.happenings.close().await;
    }

    fn is_online(&self, user: &UserId) -> bool {
        self.tracker.lock().entry(user).is_some()
    }

    // ---- sessions come and go

    /// A session of the user begins. If that brings them online, those who want to know are told.
    pub(crate) async fn connect(&self, user: &UserId, name: Option<Arc<str>>) {
        {
            let mut tracker = self.tracker.lock();
            if !tracker.connect(user, name.clone()) {
                return;
            }
            self.happenings
                .user_online(user, name.as_deref(), self.clock.now_ms());
            self.metrics.users_online.set(count(tracker.len()));
            let watchers = self.watchers_of(user);
            self.announce_online(user, watchers.into_values());
        }
        match self.store.rooms_of(user, self.rooms_of_user).await {
            Ok(rooms) => self.enter_all(user, rooms.into_iter().map(|room| room.id)),
            // Chat works all the same; the user shows as online in the rooms that they join.
            Err(error) => tracing::warn!(%error, "a user's rooms can't be read"),
        }
    }

    /// A session of the user has ended.
    pub(crate) fn disconnect(&self, user: &UserId) {
        let mut tracker = self.tracker.lock();
        let was_next = tracker.next_deadline();
        tracker.disconnect(user, self.clock.now_ms());
        self.alarm.moved(was_next, tracker.next_deadline());
    }

    pub(crate) fn rename(&self, user: &UserId, name: Option<Arc<str>>) {
        self.tracker.lock().rename(user, name);
    }

    /// Users whose grace is over: those who want to know are told, and the store keeps when they were last seen.
    fn tick(&self, now: i64) {
        let mut tracker = self.tracker.lock();
        let gone = tracker.tick(now);
        self.metrics.users_online.set(count(tracker.len()));
        for offline in &gone {
            let mut recipients = self.watchers_of(&offline.user);
            recipients.extend(self.neighbours(&offline.user, &offline.rooms));
            let event = Offline {
                user_id: &offline.user,
                last_seen: offline.last_seen,
            };
            self.tell(&offline.user, OFFLINE, &event, recipients.into_values());
            self.happenings
                .user_offline(&offline.user, offline.name.as_deref(), offline.last_seen);
        }
        let left: HashSet<_> = gone.iter().flat_map(|offline| &offline.rooms).collect();
        for room in left {
            if tracker.count_in(*room) == 0 {
                self.happenings.room_emptied(*room, now);
            }
        }
        drop(tracker);
        if !gone.is_empty() {
            let seen = gone
                .into_iter()
                .map(|gone| (gone.user, gone.name, gone.last_seen))
                .collect();
            tokio::spawn(note_seen(Arc::clone(&self.store), seen));
        }
    }

    /// Writes down when everybody who is online was last seen: now, or when their last session ended.
    pub(crate) async fn note_last_seen(&self) {
        let now = self.clock.now_ms();
        let everyone = self.tracker.lock().everyone();
        let seen = everyone
            .into_iter()
            .map(|entry| (entry.user, entry.name, entry.gone_at.unwrap_or(now)));
        note_seen(Arc::clone(&self.store), seen.collect()).await;
    }

    // ---- rooms

    /// The user takes part in a room. The sockets there are told that they are online, unless they know.
    pub(crate) fn enter(&self, user: &UserId, room: &Room) {
        let mut tracker = self.tracker.lock();
        let Some(others) = tracker.enter(user, room.id) else {
            return;
        };
        let watchers = self.watchers_of(user);
        let mut strangers = self.neighbours(user, &[room.id]);
        strangers.retain(|id, socket| !watchers.contains_key(id) && !knows(socket, &others));
        self.announce_online(user, strangers.into_values());
    }

    /// The user takes part in a room no more.
    pub(crate) fn leave(&self, user: &UserId, room: RoomId) {
        let mut tracker = self.tracker.lock();
        let before = tracker.count_in(room);
        tracker.leave(user, room);
        if before > 0 && tracker.count_in(room) == 0 {
            self.happenings.room_emptied(room, self.clock.now_ms());
        }
    }

    fn enter_all(&self, user: &UserId, rooms: impl Iterator<Item = RoomId>) {
        let mut tracker = self.tracker.lock();
        let new: Vec<_> = rooms
            .filter(|room| tracker.enter(user, *room).is_some())
            .collect();
        let watchers = self.watchers_of(user);
        let mut neighbours = self.neighbours(user, &new);
        neighbours.retain(|id, _| !watchers.contains_key(id));
        self.announce_online(user, neighbours.into_values());
    }

    /// Up to `most` of those who are online in a room.
    pub(crate) fn online_in(&self, room: RoomId, most: usize) -> Vec<OnlineEntry> {
        self.tracker.lock().online_in(room, most)
    }

    /// How many are online in a room.
    pub(crate) fn count_in(&self, room: RoomId) -> usize {
        self.tracker.lock().count_in(room)
    }

    pub(crate) fn users_online(&self) -> usize {
        self.tracker.lock().len()
    }

    // ---- subscriptions

    /// Tells the socket of every change of these users from now on.
    pub(crate) fn watch(&self, socket: &Socket, users: &[UserId]) {
        let mut watchers = self.watchers.lock();
        for user in users {
            watchers
                .entry(Arc::clone(user))
                .or_default()
                .insert(*socket.id(), socket.clone());
        }
    }

    pub(crate) fn unwatch<U: AsRef<str>>(&self, socket: &Socket, users: &[U]) {
        let mut watchers = self.watchers.lock();
        for user in users {
            if let Some(sockets) = watchers.get_mut(user.as_ref()) {
                sockets.remove(socket.id());
                if sockets.is_empty() {
                    watchers.remove(user.as_ref());
                }
            }
        }
    }

    /// Where these users stand now, in the order asked for.
    pub(crate) async fn states(&self, users: Vec<String>) -> Result<Vec<State>, ChatError> {
        let rows = self.store.users(&users).await?;
        let stored: HashMap<_, _> = rows.into_iter().map(|row| (row.user_id, row.last_seen)).collect();
        let now = self.clock.now_ms();
        let tracker = self.tracker.lock();
        let state = |user: String| match tracker.entry(&user) {
            Some(entry) => {
                let last_seen = Some(entry.gone_at.unwrap_or(now));
                State {
                    user_id: user,
                    status: Status::Online,
                    last_seen,
                }
            }
            None => State {
                last_seen: stored.get(&user).copied(),
                user_id: user,
                status: Status::Offline,
            },
        };
        Ok(users.into_iter().map(state).collect())
    }

    // ---- telling

    fn announce_online(&self, user: &UserId, recipients: impl Iterator<Item = Socket>) {
        self.tell(
            user,
            ONLINE,
            &Online {
                user_id: user,
                at: self.clock.now_ms(),
            },
            recipients,
        );
    }

    /// Only the newest news of a user counts, so it replaces an older one that still waits.
    fn tell<T: Serialize>(
        &self,
        user: &UserId,
        event: &str,
        data: &T,
        recipients: impl Iterator<Item = Socket>,
    ) {
        let mut recipients = recipients.peekable();
        if recipients.peek().is_none() {
            return;
        }
        match self.namespace.prepare(event, data) {
            Ok(prepared) => {
                let class = Class::Latest(self.keys.hash_one(user));
                recipients.for_each(|socket| _ = socket.send_prepared(&prepared, class));
            }
            Err(error) => tracing::error!(event, %error, "an event can't be encoded"),
        }
    }

    fn watchers_of(&self, user: &UserId) -> HashMap<SocketId, Socket> {
        let mut watchers = self.watchers.lock().get(user).cloned().unwrap_or_default();
        watchers.retain(|_, socket| !is_of(socket, user));
        watchers
    }

    /// The sockets of others in these rooms, as far as the rooms are in memory and not too large.
    fn neighbours(&self, user: &UserId, rooms: &[RoomId]) -> HashMap<SocketId, Socket> {
        let rooms = rooms.iter().filter_map(|room| self.rooms.get(*room));
        let seats = rooms.flat_map(|room| room.seats(self.announce_max));
        seats
            .filter(|seat| seat.user != *user)
            .map(|seat| (*seat.socket.id(), seat.socket))
            .collect()
    }
}

async fn note_seen(store: Arc<dyn Store>, seen: Vec<(UserId, Option<Arc<str>>, i64)>) {
    let store = &store;
    let write = |(user, name, last_seen): (UserId, Option<Arc<str>>, i64)| async move {
        if let Err(error) = store.see_user(&user, name.as_deref(), last_seen).await {
            tracing::warn!(%error, "when a user was last seen can't be stored");
        }
    };
    futures_util::stream::iter(seen)
        .for_each_concurrent(WRITES_AT_A_TIME, write)
        .await;
}

fn knows(socket: &Socket, rooms: &[RoomId]) -> bool {
    socket
        .state::<Session>()
        .is_some_and(|session| session.is_in_any(rooms))
}

fn is_of(socket: &Socket, user: &UserId) -> bool {
    socket
        .state::<Session>()
        .is_some_and(|session| session.user == *user)
}
