//! Who shows on other nodes in the rooms of this one, as a value: no bus, no clock.
//!
//! Each node puts a list for each room into the roster; what counts are the lists of nodes that live. So nobody shows here who
//! is not there, whatever message was lost: a list is read again when its node says that it has changed, and anyway once in a
//! while. What clients are told is what has changed between two looks.

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexMap;
use roomful_store::{ChosenStatus, RoomId};
use serde::{Deserialize, Serialize};

use crate::{presence::tracker::Choice, types::UserId};

/// What a user shows as on another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) name: Option<Arc<str>>,
    #[serde(with = "status")]
    pub(crate) status: ChosenStatus,
    pub(crate) text: Option<Arc<str>>,
}

impl Shown {
    pub(crate) fn choice(&self) -> Choice {
        Choice {
            status: self.status,
            text: self.text.clone(),
        }
    }
}

/// Those who show in a room on one node.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct NodePresence {
    /// How many.
    pub(crate) count: usize,
    /// Some of them: all, unless there are too many for a list.
    pub(crate) users: Vec<(UserId, Shown)>,
}

/// What has changed of a user in a room, between two looks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Came(UserId),
    Went(UserId),
    Shows(UserId),
}

/// Who shows elsewhere.
#[derive(Debug, Default)]
pub(crate) struct ClusterPresence {
    rooms: HashMap<RoomId, Room>,
}

#[derive(Debug, Default)]
struct Room {
    users: IndexMap<UserId, Shown>,
    /// How many more there are than are listed.
    more: usize,
}

impl ClusterPresence {
    /// Whether the room was looked at before.
    pub(crate) fn knows(&self, room: RoomId) -> bool {
        self.rooms.contains_key(&room)
    }

    /// A look at the lists of a room. The first look changes nothing: whoever asks is answered with it. Unless the lists are
    /// `complete`, who is not in them stays.
    pub(crate) fn look(&mut self, room: RoomId, crowds: Vec<NodePresence>, complete: bool) -> Vec<Change> {
        let mut now = Room::default();
        for crowd in crowds {
            now.more += crowd.count.saturating_sub(crowd.users.len());
            now.users.extend(crowd.users);
        }
        let mut changes = Vec::new();
        if let Some(before) = self.rooms.get(&room) {
            for (user, shown) in &now.users {
                match before.users.get(user) {
                    None => changes.push(Change::Came(Arc::clone(user))),
                    Some(known) if known != shown => changes.push(Change::Shows(Arc::clone(user))),
                    Some(_) => {}
                }
            }
            let gone: Vec<_> = before
                .users
                .iter()
                .filter(|(user, _)| !now.users.contains_key(*user))
                .map(|(user, shown)| (Arc::clone(user), shown.clone()))
                .collect();
            // Of whom a list has no place for, nobody can say that they went.
            if !complete {
                now.users.extend(gone);
            } else if now.more == 0 {
                changes.extend(gone.into_iter().map(|(user, _)| Change::Went(user)));
            }
        }
        self.rooms.insert(room, now);
        changes
    }

    /// The user was not seen in the room after all.
    pub(crate) fn forget(&mut self, room: RoomId, user: &str) {
        if let Some(room) = self.rooms.get_mut(&room) {
            room.users.swap_remove(user);
        }
    }

    /// Forgets the rooms for which `keep` does not hold.
    pub(crate) fn retain(&mut self, keep: impl Fn(RoomId) -> bool) {
        self.rooms.retain(|room, _| keep(*room));
    }

    /// What the user shows as in a room.
    pub(crate) fn shown(&self, room: RoomId, user: &str) -> Option<&Shown> {
        self.rooms.get(&room)?.users.get(user)
    }

    /// The rooms in which the user shows.
    pub(crate) fn rooms_of(&self, user: &str) -> Vec<RoomId> {
        let rooms = self
            .rooms
            .iter()
            .filter(|(_, room)| room.users.contains_key(user));
        rooms.map(|(id, _)| *id).collect()
    }

    /// Those who show in a room, and how many more there are.
    pub(crate) fn in_room(&self, room: RoomId) -> (impl Iterator<Item = (&UserId, &Shown)>, usize) {
        let room = self.rooms.get(&room);
        let users = room.into_iter().flat_map(|room| &room.users);
        (users, room.map_or(0, |room| room.more))
    }
}

mod status {
    use roomful_store::ChosenStatus;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const NAMES: [(ChosenStatus, &str); 4] = [
        (ChosenStatus::Online, "online"),
        (ChosenStatus::Away, "away"),
        (ChosenStatus::Busy, "busy"),
        (ChosenStatus::Invisible, "invisible"),
    ];

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(status: &ChosenStatus, serializer: S) -> Result<S::Ok, S::Error> {
        let name = NAMES.iter().find(|(known, _)| known == status);
        serializer.serialize_str(name.map_or("online", |(_, name)| name))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ChosenStatus, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = NAMES.iter().find(|(_, known)| *known == name);
        known
            .map(|(status, _)| *status)
            .ok_or_else(|| D::Error::custom("no such status"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(users: &[(&str, ChosenStatus)], count: usize) -> NodePresence {
        let shown = |status| Shown {
            name: None,
            status,
            text: None,
        };
        let users = users
            .iter()
            .map(|(user, status)| (UserId::from(*user), shown(*status)));
        NodePresence {
            count,
            users: users.collect(),
        }
    }

    use ChosenStatus::{Busy, Online};

    #[test]
    fn a_look_tells_what_has_changed_since_the_one_before() {
        let mut there = ClusterPresence::default();
        assert_eq!(
            there.look(1, vec![crowd(&[("a", Online), ("b", Online)], 2)], true),
            []
        );
        let two = vec![crowd(&[("b", Busy)], 1), crowd(&[("c", Online), ("b", Busy)], 2)];
        let changes = there.look(1, two, true);
        let [b, c, a] = ["b", "c", "a"].map(UserId::from);
        assert_eq!(changes, [Change::Shows(b), Change::Came(c), Change::Went(a)]);
        assert_eq!(there.in_room(1).0.count(), 2, "who is on two nodes is one user");
        assert_eq!(there.rooms_of("c"), [1]);
        assert!(!there.knows(2));
    }

    #[test]
    fn who_may_only_have_lost_their_place_in_a_long_list_has_not_gone() {
        let mut there = ClusterPresence::default();
        there.look(1, vec![crowd(&[("a", Online)], 1)], true);
        assert_eq!(there.look(1, vec![crowd(&[], 9)], true), []);
        assert_eq!(there.in_room(1).1, 9);
    }

    #[test]
    fn nobody_has_gone_while_the_lists_are_not_complete() {
        let mut there = ClusterPresence::default();
        there.look(1, vec![crowd(&[("a", Online)], 1)], true);
        assert_eq!(there.look(1, vec![], false), []);
        assert_eq!(there.rooms_of("a"), [1]);
        assert_eq!(there.look(1, vec![], true), [Change::Went("a".into())]);
    }

    #[test]
    fn a_status_survives_the_way() {
        for status in [Online, Busy, ChosenStatus::Away, ChosenStatus::Invisible] {
            let sent = crowd(&[("a", status)], 1);
            let json = serde_json::to_string(&sent).unwrap();
            assert_eq!(
                serde_json::from_str::<NodePresence>(&json).unwrap().users,
                sent.users
            );
        }
    }
}
