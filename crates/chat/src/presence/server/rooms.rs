//! The online users of each room: entering, leaving and lists.

use roomful_store::RoomId;

use super::PresenceServer;
use crate::{presence::tracker::OnlineEntry, types::UserId};

impl PresenceServer {
    /// The user is online in a room, too. Tells the sockets there that do not know the user is online.
    pub(crate) fn enter(&self, user: &UserId, room: RoomId) {
        let mut tracker = self.tracker.lock();
        let known = self.known_rooms(user, &tracker);
        if !tracker.enter(user, room) {
            return;
        }
        self.changed(user, &[room]);
        let newcomers = self.newcomers_in(user, &[room], &known);
        self.announce(user, &tracker, newcomers.into_values());
    }

    /// The user is not online in a room any more. Returns whether they were.
    pub(crate) fn leave(&self, user: &UserId, room: RoomId) -> bool {
        let mut tracker = self.tracker.lock();
        let before = tracker.count_in(room);
        let was_in = tracker.leave(user, room);
        self.changed(user, &[room]);
        if let Some(sync) = &self.sync {
            sync.state.lock().known.is_removed(user, room);
        }
        if before > 0 && tracker.count_in(room) == 0 {
            let now = self.clock.now_ms();
            if let Some(sync) = &self.sync {
                sync.went_offline(Vec::new(), vec![room], now);
            } else {
                self.lifecycle.room_emptied(room, now);
            }
        }
        was_in
    }

    /// Up to `most` of the users who show in a room.
    pub(crate) fn online_in(&self, room: RoomId, most: usize) -> Vec<OnlineEntry> {
        let mut online = self.tracker.lock().showing_in(room, most);
        let (on_other_nodes, _) = self.on_other_nodes(room, most.saturating_sub(online.len()));
        online.extend(on_other_nodes);
        online
    }

    /// How many users show in a room.
    pub(crate) fn count_in(&self, room: RoomId) -> usize {
        let here = self.tracker.lock().count_showing(room);
        here + self.on_other_nodes(room, 0).1
    }

    /// Up to `most` of the users who are online in a room on this node, invisible ones included.
    pub(crate) fn everyone_in(&self, room: RoomId, most: usize) -> Vec<UserId> {
        let tracker = self.tracker.lock();
        tracker.everyone_in(room).take(most).cloned().collect()
    }

    /// The number of users online in a room on this node, invisible ones included.
    pub(crate) fn count_everyone_in(&self, room: RoomId) -> usize {
        self.tracker.lock().count_in(room)
    }

    /// The number of rooms of a user who is online on this node; `None` for others.
    pub(crate) fn rooms_of(&self, user: &str) -> Option<usize> {
        let tracker = self.tracker.lock();
        tracker.choice(user).map(|_| tracker.rooms_of(user).len())
    }

    pub(crate) fn users_online(&self) -> usize {
        self.tracker.lock().len()
    }
}
