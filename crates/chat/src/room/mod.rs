//! A room in memory: its place in the log and its subscribers. Who may do what is decided by the handlers; how a send
//! becomes a delivery stands in `pipeline`, how a socket gets into rooms in `joining`.

mod join_buffer;
pub(crate) mod pending_join;
mod subscribers;

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use roomful_bus::Subscription;
use roomful_socket::{Class, Prepared, Reason, Sent, Socket};
use roomful_store::{RoomId, RoomRow};

use self::{join_buffer::JoinBuffer, subscribers::Subscribers};
use crate::{types::RoomName, types::UserId};

/// An encoded event and how much it matters.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) event: Prepared,
    pub(crate) class: Class,
    /// Without its offset, once somebody wants it so.
    plain: OnceLock<Prepared>,
}

impl Frame {
    pub(crate) const fn new(event: Prepared, class: Class) -> Self {
        let plain = OnceLock::new();
        Self { event, class, plain }
    }

    fn plain(&self) -> &Prepared {
        self.plain.get_or_init(|| self.event.without_offset())
    }
}

/// What tells a session from all others of this process: its serial.
type Key = u64;

/// A subscribed socket.
#[derive(Clone)]
pub(crate) struct Subscriber {
    pub(crate) socket: Socket,
    pub(crate) user: UserId,
    /// It wants no offsets.
    pub(crate) plain: bool,
}

impl Subscriber {
    /// Whether it was queued. What became of a frame that was not is the transport's business, which counts it.
    fn send(&self, frame: &Frame) -> bool {
        let event = if self.plain { frame.plain() } else { &frame.event };
        self.socket.send_prepared(event, frame.class) == Sent::Queued
    }
}

/// A room that somebody is subscribed to, or that is being worked on.
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) name: RoomName,
    pub(crate) epoch: Box<str>,
    /// Not an async lock: it is never held over an await, and what is done under it does not block.
    subscribers: Mutex<Subscribers<Key, Subscriber, Frame>>,
    /// Sends that wait to be committed.
    pub(crate) queued: AtomicUsize,
    /// What other nodes tell of it is heard.
    pub(crate) heard: Option<Subscription>,
    /// Its head is not ahead of what was delivered in the order of all entries. It may be where others write, too: for as
    /// long as a room that was just opened has in its head what this node has still to come to.
    in_order: AtomicBool,
}

impl Room {
    /// A room whose log is as in `row`.
    pub(crate) fn new(name: RoomName, row: &RoomRow) -> Self {
        Self {
            id: row.id,
            name,
            epoch: row.epoch.as_str().into(),
            subscribers: Mutex::new(Subscribers::new(row.head)),
            queued: AtomicUsize::new(0),
            heard: None,
            in_order: AtomicBool::new(true),
        }
    }

    /// The newest seq that was delivered.
    pub(crate) fn head(&self) -> u64 {
        self.subscribers.lock().head()
    }

    /// How many sockets are subscribed.
    pub(crate) fn len(&self) -> usize {
        self.subscribers.lock().len()
    }

    /// Begins to subscribe a socket. What lies up to the head that is returned is for its history.
    fn begin(&self, key: Key, subscriber: Subscriber, hold: &Arc<JoinBuffer<Frame>>) -> u64 {
        self.subscribers.lock().begin(key, subscriber, hold)
    }

    /// What comes for a subscribed socket waits from now on.
    fn hold(&self, key: Key, hold: &Arc<JoinBuffer<Frame>>) {
        self.subscribers.lock().hold(&key, hold);
    }

    /// Ends the waiting. Answers whether the socket is subscribed.
    fn settle(&self, key: Key) -> bool {
        self.subscribers.lock().settle(&key)
    }

    /// Ends the waiting, and the subscription if it was new. Answers whether the socket is subscribed.
    fn turn_away(&self, key: Key) -> bool {
        self.subscribers.lock().turn_away(&key)
    }

    /// Ends one session's subscription.
    pub(crate) fn unsubscribe(&self, key: Key) {
        // Bound to a name, so that the seat is dropped after the lock.
        let _seat = self.subscribers.lock().remove(&key);
    }

    /// Ends the subscriptions of all of a user's sockets, and gives them back.
    pub(crate) fn unsubscribe_user(&self, user: &str) -> Vec<Subscriber> {
        self.subscribers
            .lock()
            .remove_where(|subscriber| &*subscriber.user == user)
    }

    /// Ends all subscriptions, and gives them back.
    pub(crate) fn unsubscribe_all(&self) -> Vec<Subscriber> {
        self.subscribers.lock().remove_where(|_| true)
    }

    /// Delivers the entry `seq`, unless it was delivered before. Answers to how many sockets it went at once.
    ///
    /// If entries before it are lost, all who are in the room are sent away: when they come back, they are told.
    pub(crate) fn deliver(&self, seq: u64, frame: &Frame) -> u64 {
        let mut reached = 0;
        let send = |subscriber: &Subscriber, frame: &Frame| reached += u64::from(subscriber.send(frame));
        let mut subscribers = self.subscribers.lock();
        if !subscribers.deliver(seq, frame, send) {
            tracing::error!(
                room = self.id,
                before = seq,
                "entries can't be delivered; all who are there have to come back"
            );
            for subscriber in subscribers.subscribers() {
                subscriber.socket.close(Reason::ForcedClose);
            }
        }
        reached
    }

    /// The store shows it as in `row`, however far the order was delivered here.
    pub(crate) fn opened(&self, row: &RoomRow) {
        self.in_order.store(false, Ordering::Release);
        self.skip_to(row.head);
    }

    /// The order was delivered up to where it stood after the room was opened.
    pub(crate) fn came_into_order(&self) {
        self.in_order.store(true, Ordering::Release);
    }

    /// Whether its head is known not to be ahead of the order.
    pub(crate) fn is_in_order(&self) -> bool {
        self.in_order.load(Ordering::Acquire)
    }

    /// Entries up to `seq` are not delivered.
    pub(crate) fn skip_to(&self, seq: u64) {
        self.subscribers.lock().skip_to(seq);
    }

    /// Sends something that is no entry to the sockets for which `which` holds.
    pub(crate) fn tell(&self, frame: &Frame, which: impl FnMut(&Subscriber) -> bool) {
        let send = |subscriber: &Subscriber, frame: &Frame| _ = subscriber.send(frame);
        self.subscribers.lock().tell(frame, which, send);
    }

    /// The subscribed sockets; none if there are more than `most`.
    pub(crate) fn subscribers(&self, most: usize) -> Vec<Subscriber> {
        let subscribers = self.subscribers.lock();
        if subscribers.len() > most {
            Vec::new()
        } else {
            subscribers.subscribers().cloned().collect()
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
