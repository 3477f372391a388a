//! Announcing users: which sockets get which event for a change.

use std::collections::HashMap;

use roomful_socket::{Socket, SocketId};
use roomful_store::RoomId;

use super::{ClusterSync, PresenceServer};
use crate::{
    events::presence::{OFFLINE, ONLINE, Offline, Online, STATUS, ShowsAs},
    presence::{
        recipients::knows,
        tracker::{Choice, PresenceTracker},
    },
    types::UserId,
};

/// A change of the status that others see. `None` is offline.
pub(super) struct Shift {
    pub(super) before: Option<Choice>,
    pub(super) now: Option<Choice>,
}

/// The presence of a user on the other nodes, as the registry has it.
#[derive(Default)]
pub(super) struct Found<'a> {
    /// The user's status as others see it; `None` if they show as offline.
    pub(super) shown: Option<Choice>,
    /// The rooms that list the user now and did not before.
    pub(super) came: &'a [RoomId],
    /// The rooms that listed the user before and do not now. They learn it if the user is offline; a user who
    /// shows is listed in their other rooms.
    pub(super) went: &'a [RoomId],
    /// The time for `presence:offline`.
    pub(super) last_seen: i64,
}

type Sockets = HashMap<SocketId, Socket>;

impl PresenceServer {
    /// Announces that the user is online, if they show.
    pub(super) fn announce(
        &self,
        user: &UserId,
        tracker: &PresenceTracker<RoomId>,
        recipients: impl Iterator<Item = Socket>,
    ) {
        if let Some(choice) = tracker.choice(user).and_then(Choice::visible) {
            self.send_online(user, choice, recipients);
        }
    }

    fn send_online(&self, user: &UserId, choice: &Choice, recipients: impl Iterator<Item = Socket>) {
        let event = Online::new(user, self.clock.now_ms(), choice);
        self.recipients.send(user, ONLINE, &event, recipients);
    }

    /// The rooms in which the user is online, here or on other nodes. Their sockets know the user.
    pub(super) fn known_rooms(&self, user: &UserId, tracker: &PresenceTracker<RoomId>) -> Vec<RoomId> {
        let mut rooms = tracker.rooms_of(user).to_vec();
        if let Some(sync) = &self.sync {
            rooms.extend(sync.state.lock().known.rooms_of(user));
            rooms.sort_unstable();
            rooms.dedup();
        }
        rooms
    }

    /// Announces a change to these sockets.
    pub(super) fn send_shift(&self, user: &UserId, shift: &Shift, last_seen: i64, recipients: Sockets) {
        let recipients = recipients.into_values();
        match (&shift.before, &shift.now) {
            (None, Some(choice)) => self.send_online(user, choice, recipients),
            (Some(before), Some(choice)) if before != choice => {
                let event = ShowsAs::new(user, choice);
                self.recipients.send(user, STATUS, &event, recipients);
            }
            (Some(_), None) => {
                let user_id = user;
                let event = Offline { user_id, last_seen };
                self.recipients.send(user, OFFLINE, &event, recipients);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// Sends the user's presence from the registry to the clients of this node that know another one, and to
    /// the sockets of rooms in which the user is new, if they do not know the user yet.
    pub(super) fn tell(&self, sync: &ClusterSync, user: &UserId, found: Found<'_>) {
        let tracker = self.tracker.lock();
        let Found {
            shown,
            came,
            went,
            last_seen,
        } = found;
        // While the user is online here, they show as they do here. Other changes come by control entries.
        let shift = match tracker.choice(user) {
            Some(choice) => {
                let shown = choice.visible().cloned();
                let before = shown.clone();
                Shift { before, now: shown }
            }
            None if sync.state.lock().awaits_departure(user, came) => return,
            None => Shift {
                before: sync.state.lock().known.tell(user, shown.clone()),
                now: shown,
            },
        };
        let mut rooms = self.known_rooms(user, &tracker);
        let newcomers = match &shift {
            Shift {
                before: Some(_),
                now: Some(choice),
            } => {
                let new = came.iter().copied();
                let state = sync.state.lock();
                let new: Vec<_> = new
                    .filter(|room| !tracker.is_in(user, *room) && !state.known.is_told(user, *room))
                    .collect();
                drop(state);
                rooms.retain(|room| !new.contains(room));
                let newcomers = self.newcomers_in(user, &new, &rooms);
                self.send_online(user, choice, newcomers.values().cloned());
                newcomers
            }
            _ => Sockets::new(),
        };
        if shift.before == shift.now {
            return;
        }
        rooms.extend(came);
        if shift.now.is_none() {
            rooms.extend(went);
            sync.state.lock().known.hides(user);
        }
        let mut others = self.recipients.others(user, &rooms);
        others.retain(|id, _| !newcomers.contains_key(id));
        self.send_shift(user, &shift, last_seen, others);
    }

    /// The sockets of others in the `new` rooms of a user that do not know them from a subscription or from a
    /// `known` room.
    pub(super) fn newcomers_in(&self, user: &UserId, new: &[RoomId], known: &[RoomId]) -> Sockets {
        let watchers = self.recipients.watchers_of(user);
        let mut newcomers = self.recipients.in_rooms(user, new);
        newcomers.retain(|id, socket| !watchers.contains_key(id) && !knows(socket, known));
        newcomers
    }
}
