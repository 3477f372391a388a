//! A room in memory: the head of its log and its subscribers.

mod frame;
mod join_buffer;
pub(crate) mod pending_join;
mod subscribers;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use roomful_bus::Subscription;
use roomful_socket::{Reason, Sent, Socket};
use roomful_store::{RoomId, RoomRow};

pub(crate) use self::frame::Frame;
use self::{join_buffer::JoinBuffer, subscribers::Subscribers};
use crate::types::{RoomName, UserId};

/// The serial of a session, which no other session of this process has.
type Key = u64;

/// A subscribed socket.
#[derive(Clone)]
pub(crate) struct Subscriber {
    pub(crate) socket: Socket,
    pub(crate) user: UserId,
    /// Its client can't resume sessions, and gets no offsets.
    pub(crate) plain: bool,
}

impl Subscriber {
    /// Queues a frame. False if the transport dropped it, which it counts.
    fn send(&self, frame: &Frame) -> bool {
        let frame = frame.for_user(&self.user);
        let event = if self.plain {
            frame.without_offset()
        } else {
            &frame.event
        };
        self.socket.send_prepared(event, frame.class) == Sent::Queued
    }
}

/// A room with subscribers, or one that a handler works on.
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) name: RoomName,
    pub(crate) epoch: Box<str>,
    /// Never held over an await.
    subscribers: Mutex<Subscribers<Key, Subscriber, Frame>>,
    /// Writes that wait for their commit.
    pub(crate) queued: AtomicUsize,
    /// The subscription to the messages of other nodes about it.
    pub(crate) topic: Option<Subscription>,
    /// Whether the head is known to be applied. In a cluster, a room that was just opened has the head that
    /// the store has, and the follower may be behind it.
    caught_up: AtomicBool,
}

impl Room {
    /// A room whose log the store has as in `row`.
    pub(crate) fn new(name: RoomName, row: &RoomRow) -> Self {
        Self {
            id: row.id,
            name,
            epoch: row.epoch.as_str().into(),
            subscribers: Mutex::new(Subscribers::new(row.head)),
            queued: AtomicUsize::new(0),
            topic: None,
            caught_up: AtomicBool::new(true),
        }
    }

    /// The last delivered seq.
    pub(crate) fn head(&self) -> u64 {
        self.subscribers.lock().head()
    }

    /// The number of subscribed sockets.
    pub(crate) fn len(&self) -> usize {
        self.subscribers.lock().len()
    }

    /// Begins to subscribe a socket, and returns the head: later entries wait in `buffer`.
    fn begin(&self, key: Key, subscriber: Subscriber, buffer: &Arc<JoinBuffer<Frame>>) -> u64 {
        self.subscribers.lock().begin(key, subscriber, buffer)
    }

    /// From now on, everything for a subscribed socket waits in `buffer`.
    fn buffer(&self, key: Key, buffer: &Arc<JoinBuffer<Frame>>) {
        self.subscribers.lock().buffer(&key, buffer);
    }

    /// The buffer was released. Returns whether the socket is subscribed.
    fn settle(&self, key: Key) -> bool {
        self.subscribers.lock().settle(&key)
    }

    /// The buffer was discarded, so a subscription that had just begun ends. Returns whether the socket is
    /// subscribed.
    fn reject(&self, key: Key) -> bool {
        self.subscribers.lock().reject(&key)
    }

    /// Ends a session's subscription.
    pub(crate) fn unsubscribe(&self, key: Key) {
        // The name keeps the subscriber until the lock is released.
        let _subscriber = self.subscribers.lock().remove(&key);
    }

    /// Ends the subscriptions of all of a user's sockets, and returns them.
    pub(crate) fn unsubscribe_user(&self, user: &str) -> Vec<Subscriber> {
        self.subscribers
            .lock()
            .remove_where(|subscriber| &*subscriber.user == user)
    }

    /// Ends all subscriptions, and returns them.
    pub(crate) fn unsubscribe_all(&self) -> Vec<Subscriber> {
        self.subscribers.lock().remove_where(|_| true)
    }

    /// Delivers the entry `seq`, unless it was delivered before. Returns how many sockets got it at once.
    ///
    /// If entries before it are lost, closes all sockets of the room: they learn of the gap when they come
    /// back.
    pub(crate) fn deliver(&self, seq: u64, frame: &Frame) -> u64 {
        let mut reached = 0;
        let send = |subscriber: &Subscriber, frame: &Frame| reached += u64::from(subscriber.send(frame));
        let mut subscribers = self.subscribers.lock();
        if !subscribers.deliver(seq, frame, send) {
            tracing::error!(
                room = self.id,
                before = seq,
                "failed to deliver entries, closing all connections of the room"
            );
            for subscriber in subscribers.iter() {
                subscriber.socket.close(Reason::ForcedClose);
            }
        }
        reached
    }

    /// Takes the head from `row`, as the store has it. The follower may be behind.
    pub(crate) fn opened(&self, row: &RoomRow) {
        self.caught_up.store(false, Ordering::Release);
        self.skip_to(row.head);
    }

    /// The follower has applied everything that the store had when the room was opened.
    pub(crate) fn caught_up(&self) {
        self.caught_up.store(true, Ordering::Release);
    }

    /// Whether its head is known to be applied.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    /// Entries up to `seq` are not to be delivered.
    pub(crate) fn skip_to(&self, seq: u64) {
        self.subscribers.lock().skip_to(seq);
    }

    /// Sends an event without a log entry to the sockets for which `which` holds.
    pub(crate) fn emit(&self, frame: &Frame, which: impl FnMut(&Subscriber) -> bool) {
        let send = |subscriber: &Subscriber, frame: &Frame| _ = subscriber.send(frame);
        self.subscribers.lock().emit(frame, which, send);
    }

    /// The subscribers; none if there are more than `most`.
    pub(crate) fn subscribers(&self, most: usize) -> Vec<Subscriber> {
        let subscribers = self.subscribers.lock();
        if subscribers.len() > most {
            Vec::new()
        } else {
            subscribers.iter().cloned().collect()
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
