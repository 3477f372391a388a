//! What the clients of this node know of users who are or were on other nodes, as a value.
//!
//! A change of a user arrives in several ways: by a control entry, by the user's own entry in the registry,
//! by the list of each room, and by a departure from this node. The node announces the first one that differs
//! from its last announcement, to all clients, and the others differ no more.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use roomful_store::RoomId;

use super::tracker::Choice;
use crate::types::UserId;

/// The users whom clients of this node may know. Bounded by the subscriptions, the users online here and the
/// lists of this node's rooms.
#[derive(Debug, Default)]
pub(super) struct KnownUsers(HashMap<UserId, Known>);

#[derive(Debug, Default)]
struct Known {
    /// The rooms of this node in which the user shows on other nodes.
    rooms: Vec<RoomId>,
    /// More rooms of this node whose clients know the user, while no list has the user there. The next change
    /// must reach them, and a list that comes late must not repeat what they know. Empty for hidden users.
    told_rooms: HashSet<RoomId>,
    /// Whether clients here are subscribed to the user.
    is_watched: bool,
    /// Whether the user is online here, or their departure from here is not announced yet. While online here,
    /// the user shows as the tracker says.
    is_here: bool,
    /// What the user shows as; `None` for offline.
    told: Option<Choice>,
}

impl Known {
    fn is_idle(&self) -> bool {
        self.rooms.is_empty() && self.told_rooms.is_empty() && !self.is_watched && !self.is_here
    }
}

impl KnownUsers {
    // ---- rooms

    /// The user shows in one more room on other nodes.
    pub(super) fn enters(&mut self, user: &UserId, room: RoomId) {
        self.0.entry(Arc::clone(user)).or_default().rooms.push(room);
    }

    /// No list of another node has the user in the room any more. That may be so for a moment only, while the
    /// user moves from one connection to another, so the room's clients still know the user. Returns false if
    /// the user was no member any more.
    pub(super) fn leaves(&mut self, user: &str, room: RoomId) -> bool {
        let was_in = self.forgets(user, room);
        if was_in
            && let Some(known) = self.0.get_mut(user)
            && (known.told.is_some() || known.is_here)
        {
            known.told_rooms.insert(room);
        }
        was_in
    }

    /// Removes the lists' entry of the user in the room, of which no client knows. Returns whether there was
    /// one.
    pub(super) fn forgets(&mut self, user: &str, room: RoomId) -> bool {
        let Some(known) = self.0.get_mut(user) else {
            return false;
        };
        let before = known.rooms.len();
        known.rooms.retain(|known| *known != room);
        known.rooms.len() < before
    }

    /// The user is no member of the room any more, so its clients get no further changes.
    pub(super) fn is_removed(&mut self, user: &str, room: RoomId) {
        self.forgets(user, room);
        if let Some(known) = self.0.get_mut(user) {
            known.told_rooms.remove(&room);
        }
    }

    /// Whether the lists have the user in the room, as a member.
    pub(super) fn is_in(&self, user: &str, room: RoomId) -> bool {
        let known = self.0.get(user);
        known.is_some_and(|known| known.rooms.contains(&room))
    }

    /// The first read of the room's lists has the user, and the client that asks gets to know it. Returns
    /// true if clients that are subscribed to the user do not know it yet.
    pub(super) fn is_listed(&mut self, user: &UserId, room: RoomId, choice: Choice) -> bool {
        let known = self.0.entry(Arc::clone(user)).or_default();
        let is_unknown = known.is_idle();
        known.rooms.push(room);
        if is_unknown {
            known.told = Some(choice);
        }
        known.is_watched && !known.is_here && known.told.is_none()
    }

    /// The rooms of this node whose clients know the user, without those in which the user is online here.
    pub(super) fn rooms_of(&self, user: &str) -> impl Iterator<Item = RoomId> {
        let known = self.0.get(user);
        known
            .into_iter()
            .flat_map(|known| known.rooms.iter().chain(&known.told_rooms))
            .copied()
    }

    /// Whether clients in the room know the user, whatever the lists say.
    pub(super) fn is_told(&self, user: &str, room: RoomId) -> bool {
        let known = self.0.get(user);
        known.is_some_and(|known| known.told_rooms.contains(&room))
    }

    // ---- subscriptions

    /// Clients here are subscribed to the user, and know by the answer what the user shows as.
    pub(super) fn watch(&mut self, user: UserId, choice: Option<Choice>) {
        let known = self.0.entry(user).or_default();
        if known.is_idle() {
            known.told = choice;
        }
        known.is_watched = true;
    }

    pub(super) fn unwatch(&mut self, user: &str) {
        if let Some(known) = self.0.get_mut(user) {
            known.is_watched = false;
        }
    }

    pub(super) fn is_watched(&self, user: &str) -> bool {
        self.0.get(user).is_some_and(|known| known.is_watched)
    }

    /// The users whose changes only their own entries show: clients are subscribed to them, or know them from
    /// a room in which no list has them.
    pub(super) fn followed(&self) -> impl Iterator<Item = UserId> {
        let is_unlisted = |known: &Known| !known.is_here && !known.told_rooms.is_empty();
        let is_followed = move |known: &Known| known.is_watched || is_unlisted(known);
        let followed = self.0.iter().filter(move |(_, known)| is_followed(known));
        followed.map(|(user, _)| Arc::clone(user))
    }

    // ---- users of this node

    /// The user comes online here and shows as `now`. Returns their earlier status.
    pub(super) fn arrive(&mut self, user: &UserId, now: Option<&Choice>) -> Option<Choice> {
        let known = self.0.entry(Arc::clone(user)).or_default();
        if known.is_idle() {
            known.told = None;
        }
        known.is_here = true;
        // The lists may change before the user enters the rooms here.
        match now {
            Some(_) => known.told_rooms.extend(&known.rooms),
            None => known.told_rooms.clear(),
        }
        known.told.take()
    }

    /// The user is about to be announced as hidden.
    pub(super) fn hides(&mut self, user: &str) {
        if let Some(known) = self.0.get_mut(user) {
            known.told_rooms.clear();
        }
    }

    /// The user is not online here any more, where they showed as this in these rooms.
    pub(super) fn depart(&mut self, user: &str, choice: Option<Choice>, rooms: &[RoomId]) {
        if let Some(known) = self.0.get_mut(user) {
            match choice {
                Some(_) => known.told_rooms.extend(rooms),
                None => known.told_rooms.clear(),
            }
            known.told = choice;
        }
    }

    /// Whether the user is online here, or their departure is not announced yet.
    pub(super) fn is_here(&self, user: &str) -> bool {
        self.0.get(user).is_some_and(|known| known.is_here)
    }

    /// The departure from here is about to be announced.
    pub(super) fn departed(&mut self, user: &str) {
        if let Some(known) = self.0.get_mut(user) {
            known.is_here = false;
        }
    }

    // ---- changes

    /// Whether clients of this node know that the user has this choice, or learn it anyway since the user is
    /// connected here.
    pub(super) fn shows(&self, user: &str, choice: &Choice) -> bool {
        let known = self.0.get(user);
        known.is_some_and(|known| known.is_here || known.told.as_ref() == Some(choice))
    }

    /// Stores the status that this node announces for a user on another node; `None` for offline. Returns the
    /// status that it announced before.
    pub(super) fn tell(&mut self, user: &str, choice: Option<Choice>) -> Option<Choice> {
        let known = self.0.get_mut(user)?;
        std::mem::replace(&mut known.told, choice)
    }

    /// Forgets the users whom no client here can know any more. `rooms` are those with clients.
    pub(super) fn tidy(&mut self, rooms: &HashSet<RoomId>) {
        self.0.retain(|_, known| {
            known.told_rooms.retain(|room| rooms.contains(room));
            !known.is_idle()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomful_store::ChosenStatus;

    fn busy() -> Choice {
        Choice {
            status: ChosenStatus::Busy,
            text: None,
        }
    }

    #[test]
    fn a_user_is_told_once_for_each_change() {
        let mut known = KnownUsers::default();
        known.watch("a".into(), None);
        assert_eq!(known.tell("a", Some(busy())), None);
        assert!(known.shows("a", &busy()));
        assert_eq!(known.tell("a", Some(busy())), Some(busy()));
        assert_eq!(known.tell("a", None), Some(busy()));
        assert!(!known.shows("a", &busy()));
    }

    #[test]
    fn the_first_list_tells_those_who_ask_and_not_those_who_are_subscribed() {
        let mut known = KnownUsers::default();
        assert!(!known.is_listed(&"a".into(), 1, busy()));
        assert!(known.shows("a", &busy()));
        known.watch("b".into(), None);
        assert!(known.is_listed(&"b".into(), 1, busy()));
        assert_eq!(known.tell("b", Some(busy())), None);
    }

    #[test]
    fn a_departed_user_keeps_the_status_shown_before() {
        let mut known = KnownUsers::default();
        let user = UserId::from("a");
        assert_eq!(known.arrive(&user, Some(&busy())), None);
        known.depart("a", Some(busy()), &[1]);
        known.tidy(&HashSet::from([1, 2]));
        assert!(known.shows("a", &busy()));
        assert!(known.is_here("a"), "not announced yet");
        known.departed("a");
        assert!(!known.is_here("a"));
        assert_eq!(known.tell("a", None), Some(busy()));
        known.hides("a");
        known.tidy(&HashSet::from([1, 2]));
        assert_eq!(known.tell("a", Some(busy())), None, "forgotten");
        assert_eq!(known.arrive(&user, None), None);
    }

    #[test]
    fn clients_in_rooms_know_a_user_between_the_lists_of_nodes() {
        let rooms_of = |known: &KnownUsers| known.rooms_of("a").collect::<HashSet<_>>();
        let mut known = KnownUsers::default();
        let user = UserId::from("a");
        known.enters(&user, 1);
        known.arrive(&user, Some(&busy()));
        known.leaves("a", 1);
        assert!(
            known.is_told("a", 1),
            "the list went before the user entered the room here"
        );
        known.depart("a", Some(busy()), &[2, 3]);
        known.departed("a");
        known.is_removed("a", 3);
        assert_eq!(rooms_of(&known), HashSet::from([1, 2]));
        assert_eq!(known.followed().collect::<Vec<_>>(), [Arc::clone(&user)]);
        known.tidy(&HashSet::from([2]));
        assert_eq!(rooms_of(&known), HashSet::from([2]), "room 1 has no clients");

        known.arrive(&user, Some(&busy()));
        known.depart("a", Some(busy()), &[1]);
        known.hides("a");
        assert!(!known.is_told("a", 1), "a hidden user is known to nobody");
    }

    #[test]
    fn a_list_without_a_user_who_is_back_at_once_changes_nothing_for_clients() {
        let mut known = KnownUsers::default();
        known.enters(&"a".into(), 1);
        known.tell("a", Some(busy()));
        known.leaves("a", 1);
        assert!(known.is_told("a", 1));
        known.enters(&"a".into(), 1);
        known.is_removed("a", 1);
        assert!(!known.is_in("a", 1) && !known.is_told("a", 1));
        assert!(
            !known.leaves("a", 1) && !known.is_told("a", 1),
            "the list is late"
        );

        known.enters(&"a".into(), 1);
        known.forgets("a", 1);
        assert!(!known.is_told("a", 1), "no client knows of this entry");
    }

    #[test]
    fn a_subscription_after_a_pause_starts_with_its_answer() {
        let mut known = KnownUsers::default();
        known.watch("a".into(), Some(busy()));
        known.unwatch("a");
        known.watch("a".into(), None);
        assert!(!known.shows("a", &busy()));
        assert!(known.is_watched("a"));
        assert_eq!(known.rooms_of("a").count(), 0);
    }
}
