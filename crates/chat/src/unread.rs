//! Unread counts for users whose sockets are not subscribed to the room.
//!
//! Messages come faster than a user needs new counts. So a changed room is handled once in an interval: each
//! online member with such a socket gets the count of that moment.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use futures_util::StreamExt;
use parking_lot::Mutex;
use roomful_socket::{Class, Namespace, Socket};
use roomful_store::{Entry, Page, Range, RoomId, RoomRow, Store, StoreError, Unread};

use crate::{
    alarm::Alarm,
    clock::Clock,
    config::ChatConfig,
    connections::UserConnections,
    deadlines::Deadlines,
    events::inbox::{UNREAD, UnreadCause, UnreadIn},
    keyed_mutex::KeyedMutex,
    log::view,
    presence::server::PresenceServer,
    profiles::Profiles,
    room::Room,
    session::Session,
    types::RoomName,
    types::UserId,
};

/// Counts that are read at a time, so that the store has readers left for others.
const COUNTS_AT_A_TIME: usize = 2;
/// Locks for counts; two counts of one user and room are never made at the same time.
const COUNT_LOCKS: usize = 1_024;

/// Collects the rooms that have changed, and sends their members the counts.
pub(crate) struct UnreadPublisher {
    changed: Mutex<Changed>,
    alarm: Alarm,
    interval_ms: i64,
    /// Rooms with more members online get no counts: the cost of a message would grow with their number.
    most: usize,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    namespace: Namespace,
    presence: Arc<PresenceServer>,
    connections: Arc<UserConnections>,
    profiles: Arc<Profiles>,
    keys: RandomState,
    /// Locked for a user and room from the count to the event, so that an older count is never sent last.
    counting: KeyedMutex,
}

/// The rooms that wait: at most the rooms that had a message within the interval. By name, so that an idle
/// room does not stay in memory for it.
#[derive(Default)]
struct Changed {
    rooms: HashMap<RoomId, RoomName>,
    due: Deadlines<RoomId>,
}

/// What all members of a room get with their counts.
struct RoomState {
    row: RoomRow,
    /// The newest message; `None` if the room has none.
    last: Option<Entry>,
    /// The picture of its author.
    avatar: Option<Arc<str>>,
}

impl RoomState {
    fn cause(&self, user: &UserId, read: bool) -> UnreadCause {
        match &self.last {
            _ if read => UnreadCause::Read,
            Some(last) if last.user_id == **user => UnreadCause::Sent,
            _ => UnreadCause::Message,
        }
    }

    fn event<'a>(&'a self, room: &'a RoomName, unread: Unread, cause: UnreadCause) -> UnreadIn<'a> {
        UnreadIn {
            room,
            unread: unread.messages,
            mentions: unread.mentions,
            head: self.row.head,
            last_message: view::last_message(room, &self.row, self.last.as_ref(), |_| self.avatar.clone()),
            cause,
        }
    }
}

impl UnreadPublisher {
    pub(crate) fn new(
        config: &ChatConfig,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        namespace: &Namespace,
        (presence, connections, profiles): (&Arc<PresenceServer>, &Arc<UserConnections>, &Arc<Profiles>),
    ) -> Self {
        Self {
            changed: Mutex::default(),
            alarm: Alarm::default(),
            interval_ms: config.unread_interval_ms,
            most: config.announce_max,
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            namespace: namespace.clone(),
            presence: Arc::clone(presence),
            connections: Arc::clone(connections),
            profiles: Arc::clone(profiles),
            keys: RandomState::new(),
            counting: KeyedMutex::new(COUNT_LOCKS),
        }
    }

    pub(crate) fn start_alarm(self: &Arc<Self>) {
        let next = |board: &Self| board.changed.lock().due.next();
        let tick = |board: Arc<Self>, now| async move { board.tick(now).await };
        self.alarm.spawn(
            "unread counts",
            Arc::clone(&self.clock),
            Arc::downgrade(self),
            next,
            tick,
        );
    }

    /// A message was sent to the room, or one was deleted.
    pub(crate) fn room_changed(&self, room: &Room) {
        self.changed(room.id, &room.name);
    }

    /// Like [`room_changed`](Self::room_changed), for a room that may not be in memory.
    pub(crate) fn changed(&self, room: RoomId, name: &RoomName) {
        let online = self.presence.count_everyone_in(room);
        if online == 0 || online > self.most {
            return;
        }
        let mut changed = self.changed.lock();
        if changed.rooms.contains_key(&room) {
            return;
        }
        let was_next = changed.due.next();
        let at = self.clock.monotonic_ms().saturating_add(self.interval_ms);
        changed.rooms.insert(room, name.clone());
        changed.due.set(at, room);
        self.alarm.moved(was_next, changed.due.next());
    }

    /// Like [`room_changed`](Self::room_changed), for a room whose name is unknown.
    pub(crate) async fn changed_by_id(&self, room: RoomId) {
        if self.presence.count_everyone_in(room) == 0 {
            return;
        }
        match self.store.room(room).await {
            Ok(Some(row)) => {
                if let Ok(name) = RoomName::new(&row.name) {
                    self.changed(room, &name);
                }
            }
            // Its memberships were deleted with it.
            Ok(None) => {}
            Err(error) => tracing::warn!(room, %error, "failed to look up a room that has changed"),
        }
    }

    /// The user has read on: their other sockets get the count at once.
    pub(crate) async fn user_read(&self, user: &UserId, room: RoomId, name: &RoomName) {
        if self.unsubscribed_sockets(user, room, name).is_empty() {
            return;
        }
        if let Some(state) = self.state(room).await {
            self.send_count(user, room, name, &state, true).await;
        }
    }

    async fn tick(&self, now: i64) {
        loop {
            let due = {
                let mut changed = self.changed.lock();
                let next = changed.due.pop_due(now);
                next.and_then(|(_, id)| Some((id, changed.rooms.remove(&id)?)))
            };
            let Some((id, name)) = due else { return };
            self.send_counts(id, &name).await;
        }
    }

    async fn send_counts(&self, room: RoomId, name: &RoomName) {
        let mut members = self.presence.everyone_in(room, self.most);
        members.retain(|user| !self.unsubscribed_sockets(user, room, name).is_empty());
        if members.is_empty() {
            return;
        }
        let Some(state) = self.state(room).await else {
            return;
        };
        let state = &state;
        let send_count = |user: UserId| async move { self.send_count(&user, room, name, state, false).await };
        futures_util::stream::iter(members)
            .for_each_concurrent(COUNTS_AT_A_TIME, send_count)
            .await;
    }

    /// The user's sockets that may enter the room and are not subscribed to it.
    fn unsubscribed_sockets(&self, user: &UserId, room: RoomId, name: &RoomName) -> Vec<Socket> {
        let mut sockets = self.connections.sockets(user);
        sockets.retain(|socket| {
            let session = socket.state::<Session>();
            session.is_some_and(|session| session.allows(name) && !session.is_in_any(&[room]))
        });
        sockets
    }

    /// The room's state; `None` if the room was deleted or the store failed.
    async fn state(&self, room: RoomId) -> Option<RoomState> {
        self.read_state(room)
            .await
            .inspect_err(|error| tracing::warn!(room, %error, "failed to read the last message of a room"))
            .ok()
            .flatten()
    }

    async fn read_state(&self, room: RoomId) -> Result<Option<RoomState>, StoreError> {
        let Some(row) = self.store.room(room).await? else {
            return Ok(None);
        };
        let newest = Page {
            range: Range::Last { upto: row.head },
            limit: 1,
        };
        let history = self.store.history(room, newest).await?;
        let last = history.and_then(|mut history| history.entries.pop());
        let author = last.as_ref().map(|last| last.user_id.as_str());
        let mut author = self.profiles.of_authors(author).await.into_values();
        let avatar = author.next().and_then(|author| author.avatar.clone());
        Ok(Some(RoomState { row, last, avatar }))
    }

    /// Counts what the user has not read, and sends it to their sockets that are not subscribed to the room.
    /// `read` tells that the user has read on.
    async fn send_count(&self, user: &UserId, room: RoomId, name: &RoomName, state: &RoomState, read: bool) {
        let sockets = self.unsubscribed_sockets(user, room, name);
        if sockets.is_empty() {
            return;
        }
        let key = self.keys.hash_one((room, user));
        let _one_count = self.counting.lock((room, user)).await;
        match self.store.unread(room, user).await {
            Ok(Some(unread)) => {
                let event = state.event(name, unread, state.cause(user, read));
                self.send(&event, &sockets, Class::Latest(key));
            }
            // The user has left the room.
            Ok(None) => {}
            Err(error) => tracing::warn!(room, %error, "failed to count unread messages"),
        }
    }

    fn send(&self, event: &UnreadIn<'_>, sockets: &[Socket], class: Class) {
        match self.namespace.prepare(UNREAD, event) {
            Ok(event) => {
                for socket in sockets {
                    let _ = socket.send_prepared(&event, class);
                }
            }
            Err(error) => tracing::error!(%error, "failed to encode an unread count"),
        }
    }
}
