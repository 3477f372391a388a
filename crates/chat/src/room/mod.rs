//! A room in memory: its place in the log, its subscribers, and the sends that wait to be committed.
//! Who may do what is decided by the handlers; how a send becomes a delivery stands in `pipeline`.

pub(crate) mod pending;
pub(crate) mod pipeline;
mod subscribers;
pub(crate) mod view;

use std::{collections::VecDeque, fmt};

use parking_lot::Mutex;
use roomful_socket::{Class, Prepared, Sent, Socket, SocketId};
use roomful_store::{RoomId, RoomRow};

pub(crate) use self::subscribers::{Delivery, Finish};
use self::{pipeline::InFlight, subscribers::Subscribers};
use crate::{presence_tracker::UserId, types::RoomName};

/// An encoded event and how much it matters.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) event: Prepared,
    pub(crate) class: Class,
}

/// A subscribed socket.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) socket: Socket,
    pub(crate) user: UserId,
}

impl Seat {
    /// Whether it was queued. What became of a frame that was not is the transport's business, which counts it.
    fn send(&self, frame: &Frame) -> bool {
        self.socket.send_prepared(&frame.event, frame.class) == Sent::Queued
    }
}

/// A room that somebody is subscribed to, or that is being worked on.
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) name: RoomName,
    pub(crate) epoch: Box<str>,
    /// Not an async lock: it is never held over an await, and what is done under it does not block.
    state: Mutex<State>,
}

struct State {
    subscribers: Subscribers<SocketId, Seat, Frame>,
    queue: VecDeque<InFlight>,
    /// A task is taking from the queue.
    flushing: bool,
}

impl Room {
    /// A room whose log is as in `row`. `join_buffer` frames may wait for one join.
    pub(crate) fn new(name: RoomName, row: &RoomRow, join_buffer: usize) -> Self {
        let subscribers = Subscribers::new(row.head, join_buffer);
        let state = State {
            subscribers,
            queue: VecDeque::new(),
            flushing: false,
        };
        Self {
            id: row.id,
            name,
            epoch: row.epoch.as_str().into(),
            state: Mutex::new(state),
        }
    }

    /// The newest seq that was delivered.
    pub(crate) fn head(&self) -> u64 {
        self.state.lock().subscribers.head()
    }

    /// How many sockets are subscribed.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().subscribers.len()
    }

    /// Begins to subscribe a socket. What lies up to the head that is returned is for the answer to its join.
    pub(crate) fn begin_join(&self, seat: Seat) -> u64 {
        self.state.lock().subscribers.begin_join(*seat.socket.id(), seat)
    }

    /// Ends a join: the answer goes out first, what was delivered meanwhile follows.
    pub(crate) fn finish_join(&self, socket: &Socket, answer: impl FnOnce()) -> Finish {
        let mut state = self.state.lock();
        let send = |seat: &Seat, frame: Frame| _ = seat.send(&frame);
        state.subscribers.finish_join(socket.id(), answer, send)
    }

    /// Takes a join back. Answers whether the socket is subscribed all the same, from an earlier join.
    pub(crate) fn abandon_join(&self, socket: &Socket) -> bool {
        let mut state = self.state.lock();
        state
            .subscribers
            .abandon_join(socket.id(), |seat, frame| _ = seat.send(&frame))
    }

    /// Ends one subscription.
    pub(crate) fn unsubscribe(&self, socket: &Socket) {
        // Bound to a name, so that the seat is dropped after the lock.
        let _seat = self.state.lock().subscribers.remove(socket.id());
    }

    /// Ends the subscriptions of all of a user's sockets, and gives them back.
    pub(crate) fn unsubscribe_user(&self, user: &str) -> Vec<Seat> {
        self.state
            .lock()
            .subscribers
            .remove_where(|seat| &*seat.user == user)
    }

    /// Ends all subscriptions, and gives them back.
    pub(crate) fn unsubscribe_all(&self) -> Vec<Seat> {
        self.state.lock().subscribers.remove_where(|_| true)
    }

    /// Delivers the entry `seq`, if it is the next one. Also answers to how many sockets it went.
    pub(crate) fn deliver(&self, seq: u64, frame: &Frame) -> (Delivery, u64) {
        let mut sent = 0;
        let delivery = self.state.lock().subscribers.deliver(seq, frame, |seat, frame| {
            sent += u64::from(seat.send(frame));
        });
        (delivery, sent)
    }

    /// Entries up to `seq` can't be delivered any more: the log has them no longer.
    pub(crate) fn skip_to(&self, seq: u64) {
        self.state.lock().subscribers.skip_to(seq);
    }

    /// Sends something that is no entry to the sockets for which `which` holds.
    pub(crate) fn tell(&self, frame: &Frame, which: impl FnMut(&Seat) -> bool) {
        let send = |seat: &Seat, frame: &Frame| _ = seat.send(frame);
        self.state.lock().subscribers.tell(frame, which, send);
    }

    /// The subscribed sockets; none if there are more than `most`.
    pub(crate) fn seats(&self, most: usize) -> Vec<Seat> {
        let state = self.state.lock();
        if state.subscribers.len() > most {
            Vec::new()
        } else {
            state.subscribers.seats().cloned().collect()
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
