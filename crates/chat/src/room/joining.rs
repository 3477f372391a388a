//! A socket on its way into rooms: subscribed, but all that comes for it waits until it was answered.
//!
//! The way in: [`Joining::begin`] notes where each room's log stands; what lies up to there is read from the store and
//! answered with; [`Joining::finish`] sends the answer, and what came meanwhile behind it. Dropped without that, things
//! are as they were. One socket joins once at a time, since its events are handled one after the other.

use std::sync::Arc;

use roomful_socket::Socket;
use roomful_store::LogPosition;

use super::{Frame, Seat, hold::Hold, order::Order};
use crate::{room_manager::RoomRef, session::Session};

/// A socket on its way into rooms.
pub(crate) struct Joining {
    order: Arc<Order>,
    me: Arc<Session>,
    seat: Seat,
    hold: Arc<Hold<Frame>>,
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
pub(crate) struct TurnedAway;

impl Joining {
    /// At most `most` frames may wait.
    pub(crate) fn begin(
        order: &Arc<Order>,
        me: &Arc<Session>,
        socket: &Socket,
        rooms: impl IntoIterator<Item = RoomRef>,
        most: usize,
    ) -> Self {
        let hold = Arc::new(Hold::new(most));
        let seat = Seat {
            socket: socket.clone(),
            user: me.user.clone(),
            plain: me.plain,
        };
        let others = me.joined_rooms();
        let still = order.stand_still();
        for room in &others {
            room.hold(me.serial, &hold);
        }
        let begin = |room: RoomRef| {
            let head = room.begin(me.serial, seat.clone(), &hold);
            me.remember_room(room.clone());
            (room, head)
        };
        let into = rooms.into_iter().map(begin).collect();
        let (upto, epoch) = (*still, order.epoch());
        drop(still);
        Self {
            order: Arc::clone(order),
            me: Arc::clone(me),
            seat,
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
    pub(crate) fn finish(mut self, answer: impl FnOnce()) -> Result<Vec<bool>, TurnedAway> {
        self.finished = true;
        let still = self.order.stand_still();
        let send = |frame: &Frame| _ = self.seat.send(frame);
        // Where another order counts, these rooms are void, and whoever was there before is sent away.
        let opened = self.order.epoch() == self.epoch && self.hold.open(answer, send);
        if !opened {
            self.hold.shut(send);
        }
        let seated = self.end(opened);
        drop(still);
        self.forget(&seated);
        if opened { Ok(seated) } else { Err(TurnedAway) }
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

impl Drop for Joining {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let still = self.order.stand_still();
        self.hold.shut(|frame| _ = self.seat.send(frame));
        let seated = self.end(false);
        drop(still);
        self.forget(&seated);
    }
}
