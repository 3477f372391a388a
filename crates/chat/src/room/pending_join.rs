//! A join under way: the socket is subscribed, and everything that comes for it waits until the join is
//! answered.
//!
//! [`PendingJoin::begin`] notes the head of each room. The entries up to there are read from the store and go
//! into the answer. [`PendingJoin::finish`] sends the answer and then the frames that waited. Dropping it
//! without that restores the state before. A socket has one join at a time, since its events are handled one
//! after the other.

use std::sync::Arc;

use roomful_socket::Socket;
use roomful_store::LogPosition;

use super::{Frame, Subscriber, join_buffer::JoinBuffer};
use crate::{log::position::LogCursor, room_manager::RoomRef};

/// The session of a socket, as a join uses it.
pub(crate) trait JoiningSession: Send + Sync {
    /// A number that no other session of this process has.
    fn serial(&self) -> u64;
    /// The session's entry in a room.
    fn subscriber(&self, socket: &Socket) -> Subscriber;
    /// The rooms that the socket is subscribed to.
    fn joined_rooms(&self) -> Vec<RoomRef>;
    /// The socket is subscribed to this room, too.
    fn remember_room(&self, room: RoomRef);
    /// The socket is not subscribed to this room any more.
    fn forget_room(&self, room: &RoomRef);
}

/// A socket that joins rooms.
pub(crate) struct PendingJoin {
    log: Arc<LogCursor>,
    session: Arc<dyn JoiningSession>,
    subscriber: Subscriber,
    buffer: Arc<JoinBuffer<Frame>>,
    /// The rooms that it joins, each with its head at the beginning.
    joined: Vec<(RoomRef, u64)>,
    /// The rooms that it was in before, whose entries wait, too.
    others: Vec<RoomRef>,
    /// The last position applied before the beginning, and its epoch.
    upto: LogPosition,
    epoch: Arc<str>,
    finished: bool,
}

/// Too many frames came during the join, or the log was restored. The socket is in none of the rooms that it
/// was not in before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JoinRejected;

impl PendingJoin {
    /// At most `capacity` frames may wait.
    pub(crate) fn begin(
        log: &Arc<LogCursor>,
        session: Arc<dyn JoiningSession>,
        socket: &Socket,
        rooms: impl IntoIterator<Item = RoomRef>,
        capacity: usize,
    ) -> Self {
        let buffer = Arc::new(JoinBuffer::new(capacity));
        let (serial, subscriber) = (session.serial(), session.subscriber(socket));
        let others = session.joined_rooms();
        // Between two entries: those up to here are for the history of all rooms, the later ones wait.
        let paused = log.pause();
        for room in &others {
            room.buffer(serial, &buffer);
        }
        let begin = |room: RoomRef| {
            let head = room.begin(serial, subscriber.clone(), &buffer);
            session.remember_room(room.clone());
            (room, head)
        };
        let joined = rooms.into_iter().map(begin).collect();
        let (upto, epoch) = (*paused, log.epoch());
        drop(paused);
        Self {
            log: Arc::clone(log),
            session,
            subscriber,
            buffer,
            joined,
            others,
            upto,
            epoch,
            finished: false,
        }
    }

    /// The rooms, each with its head: later entries wait for the socket.
    pub(crate) fn rooms(&self) -> &[(RoomRef, u64)] {
        &self.joined
    }

    /// The position up to which no entry waits for the socket.
    pub(crate) fn upto(&self) -> LogPosition {
        self.upto
    }

    /// The epoch of [`upto`](Self::upto).
    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Sends the answer and the frames that waited. Returns for each room whether the socket is in it: it may
    /// have been removed meanwhile.
    ///
    /// # Errors
    /// [`JoinRejected`], and no answer is sent.
    pub(crate) fn finish(mut self, answer: impl FnOnce()) -> Result<Vec<bool>, JoinRejected> {
        self.finished = true;
        let paused = self.log.pause();
        let send = |frame: &Frame| _ = self.subscriber.send(frame);
        // After a restore these rooms are void, and the connections from before are closed.
        let released = self.log.epoch() == self.epoch && self.buffer.release(answer, send);
        if !released {
            self.buffer.discard(send);
        }
        let subscribed = self.settle(released);
        drop(paused);
        self.forget_left(&subscribed);
        if released {
            Ok(subscribed)
        } else {
            Err(JoinRejected)
        }
    }

    /// The buffer is empty and passes frames on. Returns for each joined room whether the socket is in it.
    fn settle(&self, released: bool) -> Vec<bool> {
        let serial = self.session.serial();
        for room in &self.others {
            room.settle(serial);
        }
        let is_subscribed = |(room, _): &(RoomRef, u64)| {
            if released {
                room.settle(serial)
            } else {
                room.reject(serial)
            }
        };
        self.joined.iter().map(is_subscribed).collect()
    }

    fn forget_left(&self, subscribed: &[bool]) {
        for ((room, _), subscribed) in self.joined.iter().zip(subscribed) {
            if !subscribed {
                self.session.forget_room(room);
            }
        }
    }
}

impl Drop for PendingJoin {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let paused = self.log.pause();
        self.buffer.discard(|frame| _ = self.subscriber.send(frame));
        let subscribed = self.settle(false);
        drop(paused);
        self.forget_left(&subscribed);
    }
}
