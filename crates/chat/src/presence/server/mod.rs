//! The presence server: announces users that come online, go offline or change their status, to each socket
//! once.
//!
//! The rules of being online are in `tracker`, the sockets that get an event in `recipients`. The parts here
//! connect them with sessions, rooms, the store and the clock; `status` has the users' choices, `announcing`
//! the events for a change, and `cluster_sync`, `writer` and `reader` the other nodes.

mod announcing;
mod cluster_sync;
mod reader;
mod rooms;
mod status;
mod visibility;
mod writer;

use std::{
    collections::HashSet,
    sync::{Arc, Weak, atomic::AtomicU64},
};

use async_trait::async_trait;
use futures_util::StreamExt;
use parking_lot::Mutex;
use roomful_socket::{Namespace, Socket};
use roomful_store::{RoomId, Store};
use roomful_supervisor::supervise;

use self::announcing::Shift;
pub(crate) use self::cluster_sync::ClusterSync;
use super::{
    device::Device,
    recipients::Recipients,
    tracker::{Choice, OnlineEntry, PresenceTracker, Recalled},
};
use crate::{
    alarm::Alarm,
    clock::Clock,
    cluster::Cluster,
    config::ChatConfig,
    connections::UserConnections,
    error::ChatError,
    events::presence::{STATUS, ShowsAs},
    keyed_mutex::KeyedMutex,
    lifecycle::{events::LifecycleEvents, online_users::OnlineUsers, undelivered},
    metrics::{Metrics, count},
    room_manager::RoomManager,
    session::Session,
    types::{Profile, UserId},
};

/// Users that are written to the store or the registry at a time.
const WRITES_AT_A_TIME: usize = 64;

/// Locks for choices; two choices of one user never take effect at the same time.
const CHOICE_LOCKS: usize = 256;

/// The online users of this node, and the announcements of their changes.
pub(crate) struct PresenceServer {
    /// Locked while a change is announced, so that nobody gets two changes in the wrong order.
    tracker: Mutex<PresenceTracker<RoomId>>,
    recipients: Recipients,
    /// Stores the choices of a user one at a time, so that the last one stored is the one that shows.
    choices: KeyedMutex,
    /// Numbers the reads of who may see whom, so that the result of an older one never replaces a newer one.
    visibility_reads: AtomicU64,
    /// Locked while the server tells a socket that it sees a user, or no longer does.
    visibility_events: Mutex<()>,
    alarm: Alarm,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    rooms_per_user: u32,
    lifecycle: LifecycleEvents,
    rooms: Arc<RoomManager>,
    connections: Arc<UserConnections>,
    /// The most users of a room that are listed.
    listed: usize,
    /// The other nodes, if there are any.
    pub(crate) sync: Option<Arc<ClusterSync>>,
}

impl PresenceServer {
    #[allow(
        clippy::too_many_arguments,
        reason = "called once, with the parts of the chat"
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
            visibility_reads: AtomicU64::new(1),
            visibility_events: Mutex::default(),
            alarm: Alarm::default(),
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            metrics: Arc::clone(metrics),
            rooms_per_user: config.rooms_per_user,
            lifecycle: LifecycleEvents::start(store, clock),
            rooms: Arc::clone(rooms),
            connections: Arc::clone(connections),
            listed: config.limits.online_users,
            sync: cluster.map(|cluster| Arc::new(ClusterSync::new(cluster))),
        }
    }

    pub(crate) fn start_alarm(self: &Arc<Self>) {
        let next = |presence: &Self| presence.tracker.lock().next_deadline();
        let tick = |presence: Arc<Self>, now| async move { presence.tick(now) };
        self.alarm.spawn(
            "presence",
            Arc::clone(&self.clock),
            Arc::downgrade(self),
            next,
            tick,
        );
        self.start_sync();
    }

    /// Starts the tasks that report lost users and undelivered messages to the outbox.
    pub(crate) fn start_reports(self: &Arc<Self>) {
        if self.store.outbox().is_none() {
            return;
        }
        let presence = Arc::clone(self);
        let report_lost_users = move || {
            let presence = Arc::clone(&presence);
            async move { presence.lifecycle.report_lost_users(&*presence).await }
        };
        supervise("lost users", report_lost_users).detach();
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let users = Arc::downgrade(self) as Weak<dyn OnlineUsers>;
        let watch = move || undelivered::watch(Arc::clone(&store), Arc::clone(&clock), Weak::clone(&users));
        supervise("undelivered messages", watch).detach();
    }

    /// Writes the events that wait for the outbox, and accepts no more.
    pub(crate) async fn close(&self) {
        self.lifecycle.close().await;
    }

    /// Whether the user is online on this node.
    pub(crate) fn is_here(&self, user: &str) -> bool {
        self.tracker.lock().entry(user).is_some()
    }

    /// A user's connections on this node.
    pub(crate) fn devices(&self, user: &str) -> Vec<Device> {
        let sockets = self.connections.sockets(user);
        sockets.iter().filter_map(Device::of).collect()
    }

    /// The user has changed here, in a way that other nodes show.
    fn changed(&self, user: &UserId, rooms: &[RoomId]) {
        if let Some(sync) = &self.sync {
            sync.user_changed(user);
            sync.rooms_changed(rooms);
        }
    }

    // ---- sessions

    /// What the store knows of a user who connects.
    ///
    /// # Errors
    /// `unavailable`, `internal`: the store failed.
    pub(crate) async fn recall(&self, user: &str) -> Result<(Recalled, Profile), ChatError> {
        let row = self.store.users(&[user.to_owned()]).await?.pop();
        Ok(row.map_or_else(Default::default, |mut row| {
            let recalled = Recalled {
                choice: Choice {
                    status: row.status,
                    text: row.status_text.take().map(Arc::from),
                },
                last_seen: row.seen(),
            };
            (recalled, row.into())
        }))
    }

    /// Counts a new session of the user. Announces the user if that brings them online. Sends the socket its
    /// user's status, unless it is `online` without text.
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
                    .send(user, STATUS, &ShowsAs::new(user, choice), [socket.clone()]);
            }
            if !came {
                self.changed(user, &[]);
                return;
            }
            self.metrics.users_online.set(count(tracker.len()));
            self.announce_arrival(user, &tracker);
        }
        let is_on_other_node = self.is_on_other_node(user).await;
        if !is_on_other_node {
            self.lifecycle
                .user_online(user, name.as_deref(), self.clock.now_ms());
        }
        match self.store.rooms_of(user, self.rooms_per_user).await {
            Ok(rooms) => self.enter_all(user, rooms.into_iter().map(|room| room.id)),
            // Chat works without them: the user shows as online in the rooms that they join.
            Err(error) => tracing::warn!(%error, "failed to read the rooms of a user"),
        }
    }

    /// Announces that the user came online here, if their status has changed for the sockets that watch them
    /// or know them from another node.
    fn announce_arrival(&self, user: &UserId, tracker: &PresenceTracker<RoomId>) {
        let now = tracker.choice(user).and_then(Choice::visible).cloned();
        let known_rooms = self.known_rooms(user, tracker);
        let sync = self.sync.as_ref();
        let before = sync.and_then(|sync| sync.state.lock().known.arrive(user, now.as_ref()));
        let others = self.recipients.others(user, &known_rooms);
        let shift = Shift { before, now };
        self.send_shift(user, &shift, self.clock.now_ms(), others);
    }

    /// Makes the user online in all their rooms. Sockets that know it from another node get no second event.
    fn enter_all(&self, user: &UserId, rooms: impl Iterator<Item = RoomId>) {
        let mut tracker = self.tracker.lock();
        let known = self.known_rooms(user, &tracker);
        let new: Vec<_> = rooms.filter(|room| tracker.enter(user, *room)).collect();
        self.changed(user, &new);
        let newcomers = self.newcomers_in(user, &new, &known);
        self.announce(user, &tracker, newcomers.into_values());
    }

    /// A session of the user has ended.
    pub(crate) fn disconnect(&self, user: &UserId) {
        let mut tracker = self.tracker.lock();
        let was_next = tracker.next_deadline();
        tracker.disconnect(user, self.clock.now_ms(), self.clock.monotonic_ms());
        self.changed(user, &[]);
        self.alarm.moved(was_next, tracker.next_deadline());
    }

    /// The server ends the user's sessions here for good, at `at`: they go offline without a grace.
    pub(crate) fn dismiss(&self, user: &UserId, at: i64) {
        let mut tracker = self.tracker.lock();
        let was_next = tracker.next_deadline();
        tracker.dismiss(user, at, self.clock.monotonic_ms());
        self.alarm.moved(was_next, tracker.next_deadline());
    }

    /// The sockets of others in these rooms, without those of rooms that are too large for announcements.
    pub(crate) fn sockets_in(&self, user: &UserId, rooms: &[RoomId]) -> Vec<Socket> {
        self.recipients.in_rooms(user, rooms).into_values().collect()
    }

    pub(crate) fn rename(&self, user: &UserId, name: Option<Arc<str>>) {
        self.tracker.lock().rename(user, name);
    }

    /// Announces the users whose grace is over, and stores when they were last seen.
    fn tick(&self, due: i64) {
        let mut tracker = self.tracker.lock();
        let gone = tracker.tick(due);
        let now = self.clock.now_ms();
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
        if let Some(sync) = &self.sync {
            sync.went_offline(gone, emptied, now);
            return;
        }
        for room in emptied {
            self.lifecycle.room_emptied(room, now);
        }
        // Under the lock, so that nobody gets two changes in the wrong order.
        for gone in &gone {
            let last = &gone.last;
            let shift = Shift {
                before: last.choice.visible().cloned(),
                now: None,
            };
            let others = self.recipients.others(&last.user, &gone.rooms);
            self.send_shift(&last.user, &shift, last.last_seen(now), others);
            self.note_offline(last, now);
        }
        drop(tracker);
        let seen = gone.into_iter().map(|gone| gone.last).collect();
        tokio::spawn(note_seen(Arc::clone(&self.store), seen, now));
    }

    /// Notes for the outbox that a user is online on no node any more.
    fn note_offline(&self, last: &OnlineEntry, now: i64) {
        self.lifecycle
            .user_offline(&last.user, last.name.as_deref(), last.last_seen(now));
    }

    /// Stores when the users who are online were last seen: now, or when their last session ended.
    pub(crate) async fn note_last_seen(&self) {
        let now = self.clock.now_ms();
        let everyone = self.tracker.lock().everyone();
        note_seen(Arc::clone(&self.store), everyone, now).await;
    }

    // ---- subscriptions

    /// The socket gets every change of these users from now on.
    pub(crate) fn watch(&self, socket: &Socket, users: &[UserId]) {
        let new = self.recipients.watch(socket, users);
        if let Some(sync) = &self.sync {
            for user in &new {
                sync.cluster.retain_user(user);
            }
        }
    }

    pub(crate) fn unwatch<U: AsRef<str>>(&self, socket: &Socket, users: &[U]) {
        let unwatched = self.recipients.unwatch(socket, users);
        if let Some(sync) = &self.sync {
            sync.unwatch(&unwatched);
        }
    }
}

#[async_trait]
impl OnlineUsers for PresenceServer {
    async fn lease_held(&self) {
        if let Some(sync) = &self.sync {
            sync.cluster.lease_held().await;
        }
    }

    async fn is_leader_for(&self, duty: &str) -> bool {
        match &self.sync {
            Some(sync) => sync.cluster.is_leader_for(duty).await,
            None => true,
        }
    }

    async fn online_among(&self, users: &[String]) -> Result<HashSet<String>, ChatError> {
        self.online_on_any_node(users).await
    }

    async fn confirmed_online(&self, users: &[String]) -> Result<Option<HashSet<String>>, ChatError> {
        let online = self.online_on_any_node(users).await?;
        match &self.sync {
            Some(sync) if !sync.cluster.is_complete().await? => Ok(None),
            _ => Ok(Some(online)),
        }
    }
}

/// Stores when others last saw these users.
async fn note_seen(store: Arc<dyn Store>, seen: Vec<OnlineEntry>, now: i64) {
    let store = &store;
    let write = |entry: OnlineEntry| async move {
        let Some(last_shown) = entry.last_shown(now) else {
            return;
        };
        if let Err(error) = store.touch_user(&entry.user, None, last_shown).await {
            tracing::warn!(%error, "failed to store when a user was last seen");
        }
    };
    futures_util::stream::iter(seen)
        .for_each_concurrent(WRITES_AT_A_TIME, write)
        .await;
}
