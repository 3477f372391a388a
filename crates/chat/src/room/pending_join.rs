//! A socket on its way into rooms: subscribed, but all that comes for it waits until it was answered.
//!
//! The way in: [`Joining::begin`] notes where each room's log stands; what lies up to there is read from the store and
//! answered with; [`Joining::finish`] sends the answer, and what came meanwhile behind it. Dropped without that, things
//! are as they were. One socket joins once at a time, since its events are handled one after the other.

use std::sync::Arc;

use roomful_socket::Socket;
use roomful_store::LogPosition;

use super::{Frame, Subscriber, join_buffer::JoinBuffer};
use crate::{log::position::LogCursor, room_manager::RoomRef, session::Session};

/// A socket on its way into rooms.
pub(crate) struct PendingJoin {
    log: Arc<LogCursor>,
    me: Arc<Session>,
    subscriber: Subscriber,
    hold: Arc<JoinBuffer<Frame>>,
    /// The rooms on the way into, each with its head at the beginning.
    into: Vec<(RoomRef, u64)>,
    /// The rooms that it was in before, whose entries wait too.
    others: Vec<RoomRef>,
    /// The place of the newest entry delivered before, in the order of this epoch.
    upto: LogPosition,
    epoch: Arc<str>,
    finished: bool,
}

/// More came meanwhile than may wait, or the order began anew. The socket is in none of the rooms that are new to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JoinRejected;

impl PendingJoin {
    /// At most `most` frames may wait.
    pub(crate) fn begin(
        log: &Arc<LogCursor>,
        me: &Arc<Session>,
        socket: &Socket,
        rooms: impl IntoIterator<Item = RoomRef>,
        most: usize,
    ) -> Self {
        let hold = Arc::new(JoinBuffer::new(most));
        let subscriber = Subscriber {
            socket: socket.clone(),
            user: me.user.clone(),
            plain: me.plain,
        };
        let others = me.joined_rooms();
        let still = log.pause();
        for room in &others {
            room.hold(me.serial, &hold);
        }
        let begin = |room: RoomRef| {
            let head = room.begin(me.serial, subscriber.clone(), &hold);
            me.remember_room(room.clone());
            (room, head)
        };
        let into = rooms.into_iter().map(begin).collect();
        let (upto, epoch) = (*still, log.epoch());
        drop(still);
        Self {
            log: Arc::clone(log),
            me: Arc::clone(me),
            subscriber,
            hold,
            into,
            others,
            upto,
            epoch,
            finished: false,
        }
    }

    /// The rooms, each with the newest entry that is not on its way to the socket.
    pub(crate) fn rooms(&self) -> &[(RoomRef, u64)] {
        &self.into
    }

    /// The place of the newest entry that is not on its way to the socket.
    pub(crate) fn upto(&self) -> LogPosition {
        self.upto
    }

    /// Of the order that [`upto`](Self::upto) is a place in.
    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Sends the answer and what waited. Answers for each room whether the socket is in it: it may have been taken out
    /// meanwhile.
    ///
    /// # Errors
    /// [`TurnedAway`], without an answer sent.
    pub(crate) fn finish(mut self, answer: impl FnOnce()) -> Result<Vec<bool>, JoinRejected> {
        self.finished = true;
        let still = self.log.pause();
        let send = |frame: &Frame| _ = self.subscriber.send(frame);
        // Where another order counts, these rooms are void, and whoever was there before is sent away.
        let opened = self.log.epoch() == self.epoch && self.hold.open(answer, send);
        if !opened {
            self.hold.shut(send);
        }
        let seated = self.end(opened);
        drop(still);
        self.forget(&seated);
        if opened { Ok(seated) } else { Err(JoinRejected) }
    }

    /// The hold is open or shut: nothing waits there any more. Answers for each room whether the socket is in it.
    fn end(&self, opened: bool) -> Vec<bool> {
        let key = self.me.serial;
        for room in &self.others {
            room.settle(key);
        }
        let stays = |(room, _): &(RoomRef, u64)| {
            if opened {
                room.settle(key)
            } else {
                room.turn_away(key)
            }
        };
        self.into.iter().map(stays).collect()
    }

    fn forget(&self, seated: &[bool]) {
        for ((room, _), seated) in self.into.iter().zip(seated) {
            if !seated {
                self.me.forget_room(room.id);
            }
        }
    }
}

impl Drop for PendingJoin {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let still = self.log.pause();
        self.hold.shut(|frame| _ = self.subscriber.send(frame));
        let seated = self.end(false);
        drop(still);
        self.forget(&seated);
    }
}
