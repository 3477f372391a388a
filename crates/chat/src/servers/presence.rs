//! The presence server: tells the right sockets, once each, who came online, who went, and who shows as what.
//!
//! The rules of being online stand in `presence_tracker`, who hears of whom in `audience`, and what users choose to show
//! as in `status`; here are sessions and rooms, the store and the clock.

use std::{collections::HashSet, sync::Arc};

use futures_util::StreamExt;
use parking_lot::Mutex;
use roomful_socket::{Namespace, Socket};
use roomful_store::{RoomId, Store};

use super::audience::{Audience, knows};
use crate::{
    alarm::Alarm,
    clock::Clock,
    config::ChatConfig,
    delivery::{happenings::Happenings, undelivered},
    error::ChatError,
    events::presence::{OFFLINE, ONLINE, Offline, Online, STATUS, ShowsAs},
    metrics::{Metrics, count},
    middleware::admission::UserConnections,
    presence_tracker::{Choice, OnlineEntry, PresenceTracker, Recalled, UserId},
    room::Room,
    room_manager::RoomManager,
    session::Session,
    turns::Turns,
};

/// How many users' last words are written at a time.
const WRITES_AT_A_TIME: usize = 64;

/// Who is online, and who wants to know.
pub(crate) struct PresenceServer {
    /// Held while a change is announced, so that nobody hears of two changes in the wrong order.
    pub(super) tracker: Mutex<PresenceTracker<RoomId>>,
    pub(super) audience: Audience,
    /// One choice of a user at a time, so that what is stored last is what shows.
    pub(super) choices: Turns,
    alarm: Alarm,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    rooms_of_user: u32,
    happenings: Happenings,
}

impl PresenceServer {
    pub(crate) fn new(
        config: &ChatConfig,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        rooms: &Arc<RoomManager>,
        connections: &Arc<UserConnections>,
        namespace: &Namespace,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self {
            tracker: Mutex::new(PresenceTracker::new(config.presence_grace_ms)),
            audience: Audience::new(config, rooms, connections, namespace),
            choices: Turns::new(),
            alarm: Alarm::default(),
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            metrics: Arc::clone(metrics),
            rooms_of_user: config.rooms_of_user,
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
                self.audience
                    .tell(user, STATUS, &ShowsAs::new(user, choice), [socket.clone()]);
            }
            if !came {
                return;
            }
            self.happenings
                .user_online(user, name.as_deref(), self.clock.now_ms());
            self.metrics.users_online.set(count(tracker.len()));
            let watchers = self.audience.watchers_of(user);
            self.announce(user, &tracker, watchers.into_values());
        }
        match self.store.rooms_of(user, self.rooms_of_user).await {
            Ok(rooms) => self.enter_all(user, rooms.into_iter().map(|room| room.id)),
            // Chat works all the same; the user shows as online in the rooms that they join.
            Err(error) => tracing::warn!(%error, "a user's rooms can't be read"),
        }
    }

    fn enter_all(&self, user: &UserId, rooms: impl Iterator<Item = RoomId>) {
        let mut tracker = self.tracker.lock();
        let new: Vec<_> = rooms
            .filter(|room| tracker.enter(user, *room).is_some())
            .collect();
        let watchers = self.audience.watchers_of(user);
        let mut neighbours = self.audience.neighbours(user, &new);
        neighbours.retain(|id, _| !watchers.contains_key(id));
        self.announce(user, &tracker, neighbours.into_values());
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
            let last = &offline.last;
            if last.choice.shows() {
                let event = Offline {
                    user_id: &last.user,
                    last_seen: last.last_seen(now),
                };
                let others = self.audience.others(&last.user, &offline.rooms);
                self.audience
                    .tell(&last.user, OFFLINE, &event, others.into_values());
            }
            self.happenings
                .user_offline(&last.user, last.name.as_deref(), last.last_seen(now));
        }
        let left: HashSet<_> = gone.iter().flat_map(|offline| &offline.rooms).collect();
        for room in left {
            if tracker.count_in(*room) == 0 {
                self.happenings.room_emptied(*room, now);
            }
        }
        drop(tracker);
        if !gone.is_empty() {
            let seen = gone.into_iter().map(|gone| gone.last).collect();
            tokio::spawn(note_seen(Arc::clone(&self.store), seen, now));
        }
    }

    /// Writes down when everybody who is online was last seen: now, or when their last session ended.
    pub(crate) async fn note_last_seen(&self) {
        let now = self.clock.now_ms();
        let everyone = self.tracker.lock().everyone();
        note_seen(Arc::clone(&self.store), everyone, now).await;
    }

    // ---- rooms

    /// The user takes part in a room. The sockets there are told that they are online, unless they know.
    pub(crate) fn enter(&self, user: &UserId, room: &Room) {
        let mut tracker = self.tracker.lock();
        let Some(others) = tracker.enter(user, room.id) else {
            return;
        };
        let watchers = self.audience.watchers_of(user);
        let mut strangers = self.audience.neighbours(user, &[room.id]);
        strangers.retain(|id, socket| !watchers.contains_key(id) && !knows(socket, &others));
        self.announce(user, &tracker, strangers.into_values());
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

    /// Up to `most` of those who show in a room.
    pub(crate) fn online_in(&self, room: RoomId, most: usize) -> Vec<OnlineEntry> {
        self.tracker.lock().showing_in(room, most)
    }

    /// How many show in a room.
    pub(crate) fn count_in(&self, room: RoomId) -> usize {
        self.tracker.lock().count_showing(room)
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
        self.audience.watch(socket, users);
    }

    pub(crate) fn unwatch<U: AsRef<str>>(&self, socket: &Socket, users: &[U]) {
        self.audience.unwatch(socket, users);
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
        self.audience.tell(user, ONLINE, &event, recipients);
    }
}

/// Keeps when these users were last seen by others.
async fn note_seen(store: Arc<dyn Store>, seen: Vec<OnlineEntry>, now: i64) {
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
