//! The typing server: broadcasts what the tracker says.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use parking_lot::Mutex;
use roomful_socket::{Class, Namespace, Socket};
use roomful_store::RoomId;

use super::tracker::{TypingChange, TypingLimits, TypingTracker};
use crate::{
    alarm::Alarm,
    clock::Clock,
    cluster::Cluster,
    events::chat::{TYPING_START, TYPING_STOP, UserInRoom},
    room::{Frame, Room},
    room_manager::{RoomManager, RoomRef},
    session::Session,
    types::UserId,
};

/// The origin of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A client of this node.
    Client,
    /// The clock: a start that had to wait is due, or typing has ended by itself.
    Time,
    /// Another node.
    OtherNode,
}

/// Who types where, and the broadcast of changes. One task serves all users; it sleeps while nobody types.
pub(crate) struct TypingServer {
    /// Locked while a change is broadcast, so that a stop can't overtake its start.
    tracker: Mutex<TypingTracker<RoomId>>,
    alarm: Alarm,
    clock: Arc<dyn Clock>,
    rooms: Arc<RoomManager>,
    namespace: Namespace,
    keys: RandomState,
    /// The other nodes, if there are any.
    cluster: Option<Arc<Cluster>>,
}

/// The serial for sessions of other nodes: typing there ends by their message, or by itself.
const OTHER_NODE: u64 = 0;

impl TypingServer {
    pub(crate) fn new(
        limits: TypingLimits,
        clock: &Arc<dyn Clock>,
        rooms: &Arc<RoomManager>,
        namespace: &Namespace,
        cluster: Option<Arc<Cluster>>,
    ) -> Self {
        Self {
            tracker: Mutex::new(TypingTracker::new(limits)),
            alarm: Alarm::default(),
            clock: Arc::clone(clock),
            rooms: Arc::clone(rooms),
            namespace: namespace.clone(),
            keys: RandomState::new(),
            cluster,
        }
    }

    pub(crate) fn start_alarm(self: &Arc<Self>) {
        let next = |server: &Self| server.tracker.lock().next_deadline();
        let tick = |server: Arc<Self>, _| async move { server.change(TypingTracker::tick, Source::Time) };
        self.alarm.spawn(
            "typing",
            Arc::clone(&self.clock),
            Arc::downgrade(self),
            next,
            tick,
        );
    }

    pub(crate) fn start(&self, user: &UserId, room: RoomId, session: u64) {
        let start =
            |tracker: &mut TypingTracker<_>, now| tracker.start((room, Arc::clone(user)), session, now);
        self.change(start, Source::Client);
    }

    /// The user has stopped typing in a room: by the event, by a message, or by leaving.
    pub(crate) fn stop(&self, user: &UserId, room: RoomId) {
        let stop = |tracker: &mut TypingTracker<_>, now| tracker.stop(&(room, Arc::clone(user)), now);
        self.change(stop, Source::Client);
    }

    /// A session has ended, and with it its typing.
    pub(crate) fn end_session(&self, user: &UserId, session: u64, rooms: &[RoomId]) {
        let end = |tracker: &mut TypingTracker<_>, now| {
            tracker.end_session(user, session, rooms.iter().copied(), now)
        };
        self.change(end, Source::Client);
    }

    /// A user on another node types, or has stopped.
    pub(crate) fn apply_remote_typing(&self, user: &UserId, room: RoomId, on: bool) {
        let who = (room, Arc::clone(user));
        if on {
            self.change(
                |tracker, now| tracker.start(who, OTHER_NODE, now),
                Source::OtherNode,
            );
        } else {
            self.change(|tracker, now| tracker.stop(&who, now), Source::OtherNode);
        }
    }

    fn change<C>(&self, step: impl FnOnce(&mut TypingTracker<RoomId>, i64) -> C, source: Source)
    where
        C: IntoIterator<Item = TypingChange<RoomId>>,
    {
        let mut tracker = self.tracker.lock();
        let was_next = tracker.next_deadline();
        for change in step(&mut tracker, self.clock.monotonic_ms()) {
            self.broadcast(&change);
            self.publish(&change, source);
        }
        self.alarm.moved(was_next, tracker.next_deadline());
    }

    fn publish(&self, change: &TypingChange<RoomId>, source: Source) {
        let Some(cluster) = &self.cluster else { return };
        let (on, (room, user)) = match change {
            TypingChange::Start(who) => (true, who),
            TypingChange::Stop(who) => (false, who),
        };
        let publishes = match source {
            Source::Client => true,
            // Typing that ends by itself does so on every node.
            Source::Time => on && cluster.is_here(user),
            Source::OtherNode => false,
        };
        if publishes {
            cluster.publish_typing(*room, user, on);
        }
    }

    /// Tells a socket that has resumed its session who types in its rooms.
    pub(crate) fn show(&self, socket: &Socket, rooms: &HashMap<RoomId, RoomRef>) {
        let Some(me) = socket.state::<Session>() else {
            return;
        };
        let tracker = self.tracker.lock();
        for (at, user) in tracker.shown().filter(|(_, user)| *user != me.user) {
            let room = rooms.get(at);
            if let Some(frame) = room.and_then(|room| self.frame(TYPING_START, room, user)) {
                socket.send_prepared(&frame.event, frame.class);
            }
        }
    }

    fn broadcast(&self, change: &TypingChange<RoomId>) {
        let (event, (room, user)) = match change {
            TypingChange::Start(who) => (TYPING_START, who),
            TypingChange::Stop(who) => (TYPING_STOP, who),
        };
        // A room that is not in memory has no subscribers.
        let Some(room) = self.rooms.get(*room) else { return };
        if let Some(frame) = self.frame(event, &room, user) {
            room.emit(&frame, |subscriber| subscriber.user != *user);
        }
    }

    fn frame(&self, event: &str, room: &Room, user: &UserId) -> Option<Frame> {
        let data = UserInRoom {
            room: &room.name,
            user_id: user,
        };
        let class = Class::Latest(self.keys.hash_one((room.id, user)));
        Frame::encode(&self.namespace, event, &data, class)
    }
}
