//! The presence server: tells the right sockets, once each, who came online, who went, and who shows as what.
//!
//! The rules of being online stand in `presence_tracker`, who hears of whom in `audience`, and what users choose to show
//! as in `status`; here are sessions and rooms, the store and the clock.

use std::{collections::HashSet, sync::Arc};

use futures_util::StreamExt;
use parking_lot::Mutex;
use roomful_socket::{Namespace, Socket};
use roomful_store::{RoomId, Store};

use super::{
    cluster_presence::Link,
    recipients::{Recipients, knows},
};
use crate::{
    admin::Device,
    alarm::Alarm,
    clock::Clock,
    cluster::Cluster,
    config::ChatConfig,
    error::ChatError,
    events::presence::{OFFLINE, ONLINE, Offline, Online, STATUS, ShowsAs},
    keyed_mutex::KeyedMutex,
    lifecycle::{events::LifecycleEvents, undelivered},
    metrics::{Metrics, count},
    middleware::admission::UserConnections,
    presence::tracker::{Choice, OnlineEntry, PresenceTracker, Recalled, WentOffline},
    room_manager::RoomManager,
    session::Session,
    types::UserId,
};

/// How many users' last words are written at a time.
pub(super) const WRITES_AT_A_TIME: usize = 64;

/// Locks for choices; two choices of one user never take effect at the same time.
const CHOICE_LOCKS: usize = 256;

/// Who is online, and who wants to know.
pub(crate) struct PresenceServer {
    /// Held while a change is announced, so that nobody hears of two changes in the wrong order.
    pub(super) tracker: Mutex<PresenceTracker<RoomId>>,
    pub(super) recipients: Recipients,
    /// One choice of a user at a time, so that what is stored last is what shows.
    pub(super) choices: KeyedMutex,
    alarm: Alarm,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    rooms_of_user: u32,
    pub(super) lifecycle: LifecycleEvents,
    pub(super) rooms: Arc<RoomManager>,
    connections: Arc<UserConnections>,
    /// The most users that are listed of a room.
    pub(super) listed: usize,
    /// The other nodes, if there are any.
    pub(crate) link: Option<Arc<Link>>,
}

impl PresenceServer {
    #[allow(
        clippy::too_many_arguments,
        reason = "called once, with what the chat is made of"
    )]
    pub(crate) fn new(
        config: &ChatConfig,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        rooms: &Arc<RoomManager>,
        connections: &Arc<UserConnections>,
        namespace: &Namespace,
        metrics: &Arc<Metrics>,
        cluster: Option<Arc<Cluster>>,
    ) -> Self {
        Self {
            tracker: Mutex::new(PresenceTracker::new(config.presence_grace_ms)),
            recipients: Recipients::new(config, rooms, connections, namespace),
            choices: KeyedMutex::new(CHOICE_LOCKS),
            alarm: Alarm::default(),
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            metrics: Arc::clone(metrics),
            rooms_of_user: config.rooms_of_user,
            lifecycle: LifecycleEvents::start(store, clock),
            rooms: Arc::clone(rooms),
            connections: Arc::clone(connections),
            listed: config.limits.online_users,
            link: cluster.map(|cluster| Arc::new(Link::new(cluster))),
        }
    }

    pub(crate) fn start_alarm(self: &Arc<Self>) {
        let next = |presence: &Self| presence.tracker.lock().next_deadline();
        let tick = |presence: Arc<Self>, now| async move { presence.tick(now) };
        self.alarm
            .spawn(Arc::clone(&self.clock), Arc::downgrade(self), next, tick);
        self.start_link();
    }

    /// Starts what tells the outbox: who did not come back after a restart, and who has not got a message.
    pub(crate) fn start_delivery(self: &Arc<Self>) {
        if self.store.outbox().is_none() {
            return;
        }
        let presence = Arc::clone(self);
        tokio::spawn(async move { presence.lifecycle.await_returning(&presence).await });
        tokio::spawn(undelivered::watch(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            Arc::downgrade(self),
        ));
    }

    /// Writes what waits for the outbox, and takes no more.
    pub(crate) async fn close(&self) {
        self.lifecycle.close().await;
    }

    /// Waits until this node has its part in the cluster, if there is one.
    pub(crate) async fn takes_part(&self) {
        if let Some(link) = &self.link {
            link.cluster.in_good_standing().await;
        }
    }

    /// Whether a duty that one node does for all is this one's, for now.
    pub(crate) async fn is_on_duty(&self, duty: &str) -> bool {
        match &self.link {
            Some(link) => link.cluster.is_on_duty(duty).await,
            None => true,
        }
    }

    /// Whether the user is online on this node.
    pub(crate) fn is_here(&self, user: &str) -> bool {
        self.tracker.lock().entry(user).is_some()
    }

    /// A user's connections here.
    pub(crate) fn devices(&self, user: &str) -> Vec<Device> {
        let sockets = self.connections.sockets(user);
        sockets.iter().filter_map(Device::of).collect()
    }

    /// Something that other nodes show of the user has changed here.
    pub(super) fn changed(&self, user: &UserId, rooms: &[RoomId]) {
        if let Some(link) = &self.link {
            link.user_changed(user);
            link.rooms_changed(rooms);
        }
    }

    // ---- sessions come and go

    /// What is to be known of a user before they come.
    pub(crate) async fn recall(&self, user: &str) -> Result<Recalled, ChatError> {
        let row = self.store.users(&[user.to_owned()]).await?.pop();
        Ok(row.map_or_else(Recalled::default, |row| Recalled {
            choice: Choice {
                status: row.status,
                text: row.status_text.map(Arc::from),
            },
            last_seen: Some(row.last_seen),
        }))
    }

    /// A session of the user begins. If that brings them online, those who want to know are told; and the socket is told
    /// what its user shows as, unless that is simply online.
    pub(crate) async fn connect(&self, me: &Session, socket: &Socket) {
        let (user, name) = (&me.user, me.name());
        {
            let mut tracker = self.tracker.lock();
            let came = tracker.connect(user, name.clone(), me.take_recalled());
            if let Some(choice) = tracker
                .choice(user)
                .filter(|choice| **choice != Choice::default())
            {
                self.recipients
                    .tell(user, STATUS, &ShowsAs::new(user, choice), [socket.clone()]);
            }
            if !came {
                self.changed(user, &[]);
                return;
            }
            self.metrics.users_online.set(count(tracker.len()));
        }
        let elsewhere = self.is_elsewhere_already(user).await;
        if !elsewhere {
            self.lifecycle
                .user_online(user, name.as_deref(), self.clock.now_ms());
        }
        if !self.is_followed_elsewhere(user) {
            let tracker = self.tracker.lock();
            let watchers = self.recipients.watchers_of(user);
            self.announce(user, &tracker, watchers.into_values());
        }
        match self.store.rooms_of(user, self.rooms_of_user).await {
            Ok(rooms) => self.enter_all(user, rooms.into_iter().map(|room| room.id)),
            // Chat works all the same; the user shows as online in the rooms that they join.
            Err(error) => tracing::warn!(%error, "a user's rooms can't be read"),
        }
    }

    /// The user is online in all their rooms. Who sees them on another node already is not told again.
    fn enter_all(&self, user: &UserId, rooms: impl Iterator<Item = RoomId>) {
        let mut tracker = self.tracker.lock();
        let mut new: Vec<_> = rooms
            .filter(|room| tracker.enter(user, *room).is_some())
            .collect();
        self.changed(user, &new);
        new.retain(|room| !self.shows_elsewhere_in(user, *room));
        let watchers = self.recipients.watchers_of(user);
        let mut neighbours = self.recipients.neighbours(user, &new);
        neighbours.retain(|id, _| !watchers.contains_key(id));
        self.announce(user, &tracker, neighbours.into_values());
    }

    /// A session of the user has ended.
    pub(crate) fn disconnect(&self, user: &UserId) {
        let mut tracker = self.tracker.lock();
        let was_next = tracker.next_deadline();
        tracker.disconnect(user, self.clock.now_ms());
        self.changed(user, &[]);
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
        if gone.is_empty() {
            return;
        }
        let left: HashSet<_> = gone.iter().flat_map(|offline| &offline.rooms).copied().collect();
        let emptied: Vec<_> = left
            .iter()
            .copied()
            .filter(|room| tracker.count_in(*room) == 0)
            .collect();
        if let Some(link) = &self.link {
            drop(tracker);
            link.went(gone, emptied, now);
            return;
        }
        for room in emptied {
            self.lifecycle.room_emptied(room, now);
        }
        // Still under the lock, so that nobody hears of two changes in the wrong order.
        for gone in &gone {
            self.tell_gone(gone, now);
        }
        drop(tracker);
        let seen = gone.into_iter().map(|gone| gone.last).collect();
        tokio::spawn(note_seen(Arc::clone(&self.store), seen, now));
    }

    /// A user is nowhere any more.
    pub(super) fn tell_gone(&self, gone: &WentOffline<RoomId>, now: i64) {
        let last = &gone.last;
        if last.choice.shows() {
            let event = Offline {
                user_id: &last.user,
                last_seen: last.last_seen(now),
            };
            let others = self.recipients.others(&last.user, &gone.rooms);
            self.recipients
                .tell(&last.user, OFFLINE, &event, others.into_values());
        }
        self.lifecycle
            .user_offline(&last.user, last.name.as_deref(), last.last_seen(now));
    }

    /// Writes down when everybody who is online was last seen: now, or when their last session ended.
    pub(crate) async fn note_last_seen(&self) {
        let now = self.clock.now_ms();
        let everyone = self.tracker.lock().everyone();
        note_seen(Arc::clone(&self.store), everyone, now).await;
    }

    // ---- rooms

    /// The user takes part in a room. The sockets there are told that they are online, unless they know.
    pub(crate) fn enter(&self, user: &UserId, room: RoomId) {
        let mut tracker = self.tracker.lock();
        let Some(others) = tracker.enter(user, room) else {
            return;
        };
        self.changed(user, &[room]);
        if self.shows_elsewhere_in(user, room) {
            return;
        }
        let watchers = self.recipients.watchers_of(user);
        let mut strangers = self.recipients.neighbours(user, &[room]);
        strangers.retain(|id, socket| !watchers.contains_key(id) && !knows(socket, &others));
        self.announce(user, &tracker, strangers.into_values());
    }

    /// The user takes part in a room no more.
    pub(crate) fn leave(self: &Arc<Self>, user: &UserId, room: RoomId) {
        let mut tracker = self.tracker.lock();
        let before = tracker.count_in(room);
        tracker.leave(user, room);
        self.changed(user, &[room]);
        if before > 0 && tracker.count_in(room) == 0 {
            let now = self.clock.now_ms();
            if self.link.is_some() {
                let presence = Arc::clone(self);
                tokio::spawn(async move { presence.emptied_here(vec![room], now).await });
            } else {
                self.lifecycle.room_emptied(room, now);
            }
        }
    }

    /// Up to `most` of those who show in a room.
    pub(crate) fn online_in(&self, room: RoomId, most: usize) -> Vec<OnlineEntry> {
        let mut online = self.tracker.lock().showing_in(room, most);
        let (elsewhere, _) = self.elsewhere_in(room, most.saturating_sub(online.len()));
        online.extend(elsewhere);
        online
    }

    /// How many show in a room.
    pub(crate) fn count_in(&self, room: RoomId) -> usize {
        let here = self.tracker.lock().count_showing(room);
        here + self.elsewhere_in(room, 0).1
    }

    /// Up to `most` of those who are online in a room, the invisible too.
    pub(crate) fn everyone_in(&self, room: RoomId, most: usize) -> Vec<UserId> {
        let tracker = self.tracker.lock();
        tracker.everyone_in(room).take(most).cloned().collect()
    }

    /// How many are online in a room, the invisible too.
    pub(crate) fn count_everyone_in(&self, room: RoomId) -> usize {
        self.tracker.lock().count_in(room)
    }

    pub(crate) fn users_online(&self) -> usize {
        self.tracker.lock().len()
    }

    // ---- subscriptions

    /// Tells the socket of every change of these users from now on.
    pub(crate) fn watch(&self, socket: &Socket, users: &[UserId]) {
        let new = self.recipients.watch(socket, users);
        if let Some(link) = &self.link {
            for user in &new {
                link.cluster.user_came(user);
            }
        }
    }

    pub(crate) fn unwatch<U: AsRef<str>>(&self, socket: &Socket, users: &[U]) {
        let done = self.recipients.unwatch(socket, users);
        if let Some(link) = &self.link {
            link.unfollow(&done);
        }
    }

    // ---- telling

    /// Tells that the user is there, if they show.
    pub(super) fn announce(
        &self,
        user: &UserId,
        tracker: &PresenceTracker<RoomId>,
        recipients: impl Iterator<Item = Socket>,
    ) {
        let Some(choice) = tracker.choice(user).filter(|choice| choice.shows()) else {
            return;
        };
        let event = Online::new(user, self.clock.now_ms(), choice);
        self.recipients.tell(user, ONLINE, &event, recipients);
    }
}

/// Keeps when these users were last seen by others.
pub(super) async fn note_seen(store: Arc<dyn Store>, seen: Vec<OnlineEntry>, now: i64) {
    let store = &store;
    let write = |entry: OnlineEntry| async move {
        let Some(last_shown) = entry.last_shown(now) else {
            return;
        };
        let name = entry.name.as_deref();
        if let Err(error) = store.see_user(&entry.user, name, last_shown).await {
            tracing::warn!(%error, "when a user was last seen can't be stored");
        }
    };
    futures_util::stream::iter(seen)
        .for_each_concurrent(WRITES_AT_A_TIME, write)
        .await;
}
