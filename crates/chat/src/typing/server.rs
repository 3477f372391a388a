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

/// Where a change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// From a client of this node.
    Client,
    /// A start that had to wait has its time, or typing has ended by itself.
    Time,
    /// From another node.
    OtherNode,
}

/// Who types where, and the telling of it. One task serves all who type; it sleeps while nobody does.
pub(crate) struct TypingServer {
    /// Held while a change is passed on, so that a stop can't overtake its start.
    tracker: Mutex<TypingTracker<RoomId>>,
    alarm: Alarm,
    clock: Arc<dyn Clock>,
    rooms: Arc<RoomManager>,
    namespace: Namespace,
    keys: RandomState,
    /// The other nodes, if there are any.
    cluster: Option<Arc<Cluster>>,
}

/// Stands for the sessions of other nodes: typing there ends by word from there, or by itself.
const ELSEWHERE: u64 = 0;

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
        let next = |board: &Self| board.tracker.lock().next_deadline();
        let tick = |board: Arc<Self>, _| async move { board.change(TypingTracker::tick, Source::Time) };
        self.alarm
            .spawn(Arc::clone(&self.clock), Arc::downgrade(self), next, tick);
    }

    pub(crate) fn start(&self, user: &UserId, room: RoomId, session: u64) {
        let start =
            |tracker: &mut TypingTracker<_>, now| tracker.start((room, Arc::clone(user)), session, now);
        self.change(start, Source::Client);
    }

    /// The user stopped typing in a room, by saying so, by sending, or by leaving.
    pub(crate) fn stop(&self, user: &UserId, room: RoomId) {
        let stop = |tracker: &mut TypingTracker<_>, now| tracker.stop(&(room, Arc::clone(user)), now);
        self.change(stop, Source::Client);
    }

    /// A session is gone, and what it typed with it.
    pub(crate) fn end_session(&self, user: &UserId, session: u64, rooms: &[RoomId]) {
        let end = |tracker: &mut TypingTracker<_>, now| {
            tracker.end_session(user, session, rooms.iter().copied(), now)
        };
        self.change(end, Source::Client);
    }

    /// A user on another node types, or has stopped.
    pub(crate) fn hear(&self, user: &UserId, room: RoomId, on: bool) {
        let who = (room, Arc::clone(user));
        if on {
            self.change(
                |tracker, now| tracker.start(who, ELSEWHERE, now),
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
        for change in step(&mut tracker, self.clock.now_ms()) {
            self.pass_on(&change);
            self.tell_nodes(&change, source);
        }
        self.alarm.moved(was_next, tracker.next_deadline());
    }

    fn tell_nodes(&self, change: &TypingChange<RoomId>, source: Source) {
        let Some(cluster) = &self.cluster else { return };
        let (on, (room, user)) = match change {
            TypingChange::Start(who) => (true, who),
            TypingChange::Stop(who) => (false, who),
        };
        let tells = match source {
            Source::Client => true,
            // What ends by itself ends so on every node.
            Source::Time => on && cluster.is_here(user),
            Source::OtherNode => false,
        };
        if tells {
            cluster.tell_typing(*room, user, on);
        }
    }

    /// Tells a socket that has come back to these rooms who types there.
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

    fn pass_on(&self, change: &TypingChange<RoomId>) {
        let (event, (room, user)) = match change {
            TypingChange::Start(who) => (TYPING_START, who),
            TypingChange::Stop(who) => (TYPING_STOP, who),
        };
        // No room in memory: nobody there to be told.
        let Some(room) = self.rooms.get(*room) else { return };
        if let Some(frame) = self.frame(event, &room, user) {
            room.tell(&frame, |subscriber| subscriber.user != *user);
        }
    }

    fn frame(&self, event: &str, room: &Room, user: &UserId) -> Option<Frame> {
        let data = UserInRoom {
            room: &room.name,
            user_id: user,
        };
        let class = Class::Latest(self.keys.hash_one((room.id, user)));
        let event = self.namespace.prepare(event, &data);
        event
            .map(|event| Frame::new(event, class))
            .inspect_err(|error| tracing::error!(%error, "a typing event can't be encoded"))
            .ok()
    }
}
