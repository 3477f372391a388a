//! Presence on the other nodes of a cluster, as a value: no bus, no registry, no clock.
//!
//! Each node puts two kinds of entries into the registry: one for each of its online users, and one list for
//! each room in which such a user shows. Only entries of living nodes count, so a lost message never leaves a
//! ghost: a list is read again when its node announces a change, and at intervals anyway. What clients get is
//! the difference between two reads.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use indexmap::{IndexMap, IndexSet};
use roomful_store::RoomId;
use serde::{Deserialize, Serialize};

use super::{
    change_index::{ChangeIndex, Changed, FollowedIndexes},
    known_users::KnownUsers,
    tracker::WentOffline,
};
use crate::types::{Shown, UserId};

/// A node's list of a room: its users there that show as online.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct NodePresence {
    /// The number of users.
    pub(super) count: usize,
    /// The users; some of them if they are too many for a list.
    pub(super) users: Vec<(UserId, Shown)>,
}

/// How a user's presence in a room differs between two reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Came(UserId),
    Went(UserId),
    Shows(UserId),
}

pub(super) type Changes = IndexMap<UserId, IndexMap<RoomId, Change>>;

/// The presence on other nodes, and the work that this node has still to do for it.
#[derive(Debug, Default)]
pub(super) struct ClusterPresence {
    /// The users on other nodes, in the rooms of this one.
    rooms: HashMap<RoomId, Room>,
    /// What clients here know of users.
    pub(super) known: KnownUsers,
    work: Work,
    /// Users that went offline here and may be online on another node.
    departures: Vec<Departure>,
    /// The changes of this node's lists, and how far those of other nodes are known.
    own_lists: ChangeIndex,
    other_lists: FollowedIndexes,
    /// The last change of each user in each room that is not announced yet.
    changes: Changes,
    /// Rooms whose lists are read next time, changed or not.
    recheck: HashSet<RoomId>,
}

#[derive(Debug, Default)]
struct Room {
    users: IndexMap<UserId, Shown>,
    /// How many more users there are than the lists name.
    more: usize,
}

/// Entries to write and to read. Bounded by the users and rooms of this node.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) put_users: IndexSet<UserId>,
    pub(super) put_rooms: IndexSet<RoomId>,
    /// The index of changed lists is to be put, too.
    pub(super) put_index: bool,
    pub(super) read_users: IndexSet<UserId>,
    pub(super) read_rooms: IndexSet<RoomId>,
}

/// Users that went offline here at the same time, and the rooms without online users here since.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) gone: Vec<WentOffline<RoomId>>,
    pub(super) emptied: Vec<RoomId>,
    pub(super) at: i64,
}

impl ClusterPresence {
    // ---- work

    /// Adds entries to write or to read.
    pub(super) fn plan(&mut self, add: impl FnOnce(&mut Work)) {
        add(&mut self.work);
    }

    /// Takes all entries to write and to read.
    pub(super) fn take_work(&mut self) -> Work {
        std::mem::take(&mut self.work)
    }

    pub(super) fn push_departure(&mut self, departure: Departure) {
        self.departures.push(departure);
    }

    pub(super) fn pop_departure(&mut self) -> Option<Departure> {
        self.departures.pop()
    }

    // ---- rooms

    /// Whether the lists of the room were read before.
    pub(super) fn knows(&self, room: RoomId) -> bool {
        self.rooms.contains_key(&room)
    }

    /// Merges the lists of a room. Returns the changes since the last read, and the users for whom this
    /// node has announced another status. The first read returns no changes: it only serves the answer to
    /// a client. Unless the registry is `complete`, users that are absent from it stay.
    pub(super) fn merge(&mut self, room: RoomId, lists: Vec<NodePresence>, complete: bool) -> Vec<Change> {
        if !complete {
            self.recheck.insert(room);
        }
        let mut now = Room::default();
        for list in lists {
            now.more += list.count.saturating_sub(list.users.len());
            now.users.extend(list.users);
        }
        let changes = if let Some(before) = self.rooms.remove(&room) {
            self.differences(room, before, &mut now, complete)
        } else {
            self.first_read(room, &now);
            Vec::new()
        };
        self.rooms.insert(room, now);
        changes
    }

    /// Notes the changes of a room until they are announced.
    pub(super) fn note_changes(&mut self, room: RoomId, changes: Vec<Change>) {
        for change in changes {
            let (Change::Came(user) | Change::Went(user) | Change::Shows(user)) = &change;
            let noted = self.changes.entry(Arc::clone(user)).or_default();
            match change {
                // The room's clients learn the status of a newcomer anyway.
                Change::Shows(_) => _ = noted.entry(room).or_insert(change),
                Change::Came(_) | Change::Went(_) => _ = noted.insert(room, change),
            }
        }
    }

    /// Takes the changes to announce them.
    pub(super) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// The changes could not be announced. Later ones in the same rooms replace them.
    pub(super) fn put_changes_back(&mut self, mut changes: Changes) {
        for (user, later) in self.take_changes() {
            changes.entry(user).or_default().extend(later);
        }
        self.changes = changes;
    }

    fn first_read(&mut self, room: RoomId, now: &Room) {
        for (user, shown) in &now.users {
            if self.known.is_listed(user, room, shown.choice()) {
                self.work.read_users.insert(Arc::clone(user));
            }
        }
    }

    /// The changes from one read to the next, which keeps absent users unless the registry is `complete`.
    fn differences(&mut self, room: RoomId, before: Room, now: &mut Room, complete: bool) -> Vec<Change> {
        let mut changes = Vec::new();
        now.users.retain(|user, _| {
            // The list may be older than the end of a membership, or newer than the next one. Read it again.
            let is_doubtful = before.users.contains_key(user) && !self.known.is_in(user, room);
            if is_doubtful {
                self.recheck.insert(room);
            }
            !is_doubtful
        });
        for (user, shown) in &now.users {
            if !before.users.contains_key(user) {
                self.known.enters(user, room);
                changes.push(Change::Came(Arc::clone(user)));
            } else if !self.known.shows(user, &shown.choice()) {
                changes.push(Change::Shows(Arc::clone(user)));
            }
        }
        let gone = before.users.into_iter();
        let gone: Vec<_> = gone.filter(|(user, _)| !now.users.contains_key(user)).collect();
        if !complete {
            now.users.extend(gone);
            return changes;
        }
        for (user, _) in gone {
            // If a list is too short, a user may be missing from it and still be there.
            if now.more > 0 {
                self.known.forgets(&user, room);
            } else if self.known.leaves(&user, room) {
                changes.push(Change::Went(user));
            }
        }
        changes
    }

    /// True if this node has yet to announce that a user left it. The announcement reaches the sockets of all
    /// their rooms, and a later read reaches those of the rooms in which the user is new.
    pub(super) fn awaits_departure(&mut self, user: &str, came: &[RoomId]) -> bool {
        let awaits = self.known.is_here(user);
        if awaits {
            self.recheck_user(user, came.iter().copied());
        }
        awaits
    }

    /// Forgets the user in these rooms, since the lists name them but their own entry does not exist yet. The
    /// next read of the rooms decides.
    pub(super) fn recheck_user(&mut self, user: &str, rooms: impl IntoIterator<Item = RoomId>) {
        for id in rooms {
            if let Some(room) = self.rooms.get_mut(&id)
                && room.users.swap_remove(user).is_some()
            {
                self.known.forgets(user, id);
            }
            self.recheck.insert(id);
        }
    }

    /// The users who show in a room, and how many more there are.
    pub(super) fn in_room(&self, room: RoomId) -> (impl Iterator<Item = (&UserId, &Shown)>, usize) {
        let room = self.rooms.get(&room);
        let users = room.into_iter().flat_map(|room| &room.users);
        (users, room.map_or(0, |room| room.more))
    }

    /// Plans the next read of the lists: those of `rooms` that have changed, that were not read yet or whose
    /// last read was incomplete. `None` for the changed ones means all. Forgets all other rooms.
    pub(super) fn plan_reads(&mut self, mut rooms: Vec<RoomId>, changed: Option<&HashSet<RoomId>>) {
        let kept: HashSet<_> = rooms.iter().copied().collect();
        for (room, forgotten) in self.rooms.extract_if(|room, _| !kept.contains(room)) {
            for user in forgotten.users.keys() {
                self.known.forgets(user, room);
            }
        }
        self.known.tidy(&kept);
        if let Some(changed) = changed {
            let recheck = std::mem::take(&mut self.recheck);
            let known = &self.rooms;
            rooms
                .retain(|room| changed.contains(room) || recheck.contains(room) || !known.contains_key(room));
        }
        self.work.read_rooms.extend(rooms);
    }

    // ---- lists

    /// Counts the changes of this node's lists of these rooms, and returns the index to put.
    pub(super) fn lists_changed<'a>(&mut self, rooms: impl IntoIterator<Item = &'a RoomId>) -> ChangeIndex {
        rooms.into_iter().for_each(|room| self.own_lists.add(*room));
        self.own_lists.clone()
    }

    /// Follows the indexes of the other nodes. Returns the lists that have changed since the last call.
    pub(super) fn follow_lists(&mut self, members: &[String], indexes: &[(String, ChangeIndex)]) -> Changed {
        self.other_lists.follow(members, indexes)
    }

    /// The indexes can't be read: everything may have changed.
    pub(super) fn forget_lists(&mut self) {
        self.other_lists.forget();
    }

    /// Plans to read the entries of the users whose changes only these show.
    pub(super) fn plan_followed(&mut self) {
        self.work.read_users.extend(self.known.followed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomful_store::ChosenStatus::{self, Busy, Online};

    fn shown(status: ChosenStatus) -> Shown {
        Shown {
            name: None,
            status,
            text: None,
        }
    }

    fn list(users: &[(&str, ChosenStatus)], count: usize) -> NodePresence {
        let users = users
            .iter()
            .map(|(user, status)| (UserId::from(*user), shown(*status)));
        NodePresence {
            count,
            users: users.collect(),
        }
    }

    fn read_rooms(presence: &mut ClusterPresence) -> Vec<RoomId> {
        presence.take_work().read_rooms.into_iter().collect()
    }

    #[test]
    fn a_merge_returns_what_has_changed_since_the_last_one() {
        let mut presence = ClusterPresence::default();
        let both = list(&[("a", Online), ("b", Online)], 2);
        assert_eq!(presence.merge(1, vec![both], true), []);
        let two = vec![list(&[("b", Busy)], 1), list(&[("c", Online), ("b", Busy)], 2)];
        let changes = presence.merge(1, two, true);
        let [b, c, a] = ["b", "c", "a"].map(UserId::from);
        assert_eq!(changes, [Change::Shows(b), Change::Came(c), Change::Went(a)]);
        assert_eq!(
            presence.in_room(1).0.count(),
            2,
            "a user on two nodes is one user"
        );
        assert_eq!(presence.known.rooms_of("c").collect::<Vec<_>>(), [1]);
        assert!(!presence.knows(2));
    }

    #[test]
    fn a_user_who_may_be_cut_from_a_long_list_has_not_gone() {
        let mut presence = ClusterPresence::default();
        presence.merge(1, vec![list(&[("a", Online)], 1)], true);
        assert_eq!(presence.merge(1, vec![list(&[], 9)], true), []);
        assert_eq!(presence.in_room(1).1, 9);
    }

    #[test]
    fn nobody_has_gone_while_the_registry_is_incomplete() {
        let mut presence = ClusterPresence::default();
        presence.merge(1, vec![list(&[("a", Online)], 1)], true);
        assert_eq!(presence.merge(1, vec![], false), []);
        assert_eq!(presence.known.rooms_of("a").collect::<Vec<_>>(), [1]);
        presence.plan_reads(vec![1], Some(&HashSet::new()));
        assert_eq!(read_rooms(&mut presence), [1], "read again, changed or not");
        assert_eq!(presence.merge(1, vec![], true), [Change::Went("a".into())]);
    }

    #[test]
    fn only_changed_and_unknown_rooms_are_read() {
        let mut presence = ClusterPresence::default();
        for room in [1, 2, 3] {
            presence.merge(room, vec![], true);
        }
        presence.plan_reads(vec![1, 2, 4], Some(&HashSet::from([2])));
        assert_eq!(read_rooms(&mut presence), [2, 4]);
        assert!(!presence.knows(3), "the room is not in memory any more");
        presence.plan_reads(vec![1, 2, 4], None);
        assert_eq!(read_rooms(&mut presence), [1, 2, 4]);
    }

    #[test]
    fn a_list_that_differs_from_what_clients_know_is_a_change_until_they_are_told() {
        let mut presence = ClusterPresence::default();
        presence.merge(1, vec![list(&[("a", Online)], 1)], true);
        let shows = [Change::Shows("a".into())];
        for _ in 0..2 {
            assert_eq!(presence.merge(1, vec![list(&[("a", Busy)], 1)], true), shows);
        }
        presence.known.tell("a", Some(shown(Busy).choice()));
        assert_eq!(presence.merge(1, vec![list(&[("a", Busy)], 1)], true), []);
    }
}
