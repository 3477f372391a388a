//! A join under way: the socket is subscribed, and everything that comes for it waits until the join is
//! answered.
//!
//! [`PendingJoin::begin`] notes the head of each room. The entries up to there are read from the store and go
//! into the answer. [`PendingJoin::finish`] sends the answer and then the frames that waited. Dropping it
//! without that restores the state before. All three run between two entries. A socket has one join at a
//! time, since its events are handled one after the other.

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
    /// `None` once the join has ended.
    subscription: Option<Subscription>,
    /// The last position applied before the beginning, and its epoch.
    upto: LogPosition,
    epoch: Arc<str>,
}

/// The socket's part in its rooms during a join.
struct Subscription {
    session: Arc<dyn JoiningSession>,
    subscriber: Subscriber,
    buffer: Arc<JoinBuffer<Frame>>,
    /// The rooms that it joins, each with its head at the beginning.
    joined: Vec<(RoomRef, u64)>,
    /// The rooms that it was in before, whose entries wait, too.
    others: Vec<RoomRef>,
}

/// Too many frames came during the join, or the log was restored. The socket is in none of the rooms that it
/// was not in before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JoinRejected;

impl PendingJoin {
    /// At most `capacity` frames may wait.
    ///
    /// # Errors
    /// [`JoinRejected`] if it fails by a fault of the server.
    pub(crate) async fn begin(
        log: &Arc<LogCursor>,
        session: Arc<dyn JoiningSession>,
        socket: &Socket,
        rooms: impl IntoIterator<Item = RoomRef>,
        capacity: usize,
    ) -> Result<Self, JoinRejected> {
        let buffer = Arc::new(JoinBuffer::new(capacity));
        let subscriber = session.subscriber(socket);
        let (rooms, others) = (rooms.into_iter().collect::<Vec<_>>(), session.joined_rooms());
        let cursor = Arc::clone(log);
        let begun = log.between_entries(move |cut| {
            // Entries up to here are for the history of all rooms, the later ones wait.
            let serial = session.serial();
            for room in &others {
                room.buffer(serial, &buffer);
            }
            let begin = |room: RoomRef| {
                let head = room.begin(serial, subscriber.clone(), &buffer);
                session.remember_room(room.clone());
                (room, head)
            };
            let joined = rooms.into_iter().map(begin).collect();
            // Dropped, and so undone, if the caller has gone.
            Self {
                log: cursor,
                subscription: Some(Subscription {
                    session,
                    subscriber,
                    buffer,
                    joined,
                    others,
                }),
                upto: cut.position,
                epoch: cut.epoch,
            }
        });
        begun.await.ok_or(JoinRejected)
    }

    /// The rooms, each with its head: later entries wait for the socket.
    pub(crate) fn rooms(&self) -> &[(RoomRef, u64)] {
        let subscription = self.subscription.as_ref();
        subscription.map_or(&[], |subscription| &subscription.joined)
    }

    /// The position up to which no entry waits for the socket.
    pub(crate) fn upto(&self) -> LogPosition {
        self.upto
    }

    /// The epoch of [`upto`](Self::upto).
    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Ends the join: calls `answer` with true and sends the frames that waited. Returns for each room
    /// whether the socket is in it: it may have been removed meanwhile.
    ///
    /// # Errors
    /// [`JoinRejected`], after calling `answer` with false.
    pub(crate) async fn finish(
        mut self,
        answer: impl FnOnce(bool) + Send + 'static,
    ) -> Result<Vec<bool>, JoinRejected> {
        let (subscription, epoch) = (self.subscription.take(), Arc::clone(&self.epoch));
        let finished = self.log.between_entries(move |cut| {
            let subscription = subscription?;
            // After a restore these rooms are void, and the connections from before are closed.
            if cut.epoch == epoch {
                subscription.release(answer)
            } else {
                subscription.undo();
                answer(false);
                None
            }
        });
        finished.await.flatten().ok_or(JoinRejected)
    }

    /// Ends the join without success: restores the state before, then calls `answer`.
    pub(crate) async fn reject(mut self, answer: impl FnOnce() + Send + 'static) {
        let subscription = self.subscription.take();
        let rejected = self.log.between_entries(move |_| {
            if let Some(subscription) = subscription {
                subscription.undo();
            }
            answer();
        });
        rejected.await;
    }
}

impl Drop for PendingJoin {
    fn drop(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            self.log.queue_cut(move |_| subscription.undo());
        }
    }
}

impl Subscription {
    /// Sends the answer and the frames that waited; `None`, and another answer, if too many came.
    fn release(self, answer: impl FnOnce(bool)) -> Option<Vec<bool>> {
        let mut answer = Some(answer);
        let mut send_answer = |accepted| {
            if let Some(answer) = answer.take() {
                answer(accepted);
            }
        };
        let send = |frame: &Frame| _ = self.subscriber.send(frame);
        if self.buffer.release(|| send_answer(true), send) {
            return Some(self.settle(true));
        }
        self.undo();
        send_answer(false);
        None
    }

    /// Drops the frames of the joined rooms, sends the others, and ends the subscriptions that have begun.
    fn undo(&self) {
        self.buffer.discard(|frame| _ = self.subscriber.send(frame));
        self.settle(false);
    }

    /// The buffer passes frames on. Returns for each joined room whether the socket is in it.
    fn settle(&self, released: bool) -> Vec<bool> {
        let serial = self.session.serial();
        for room in &self.others {
            room.settle(serial);
        }
        let settle = |(room, _): &(RoomRef, u64)| {
            let is_subscribed = if released {
                room.settle(serial)
            } else {
                room.reject(serial)
            };
            if !is_subscribed {
                self.session.forget_room(room);
            }
            is_subscribed
        };
        self.joined.iter().map(settle).collect()
    }
}
