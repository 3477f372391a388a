//! Who is online and in which rooms, as a value: no clock, no task, no socket, no store.
//!
//! A user is online while any of their sessions lives, and for a grace after the last one went, so that a reload
//! does not flap. All devices of a user are one entry. Who is told about a change is decided by the presence server.

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexSet;

use crate::deadlines::Deadlines;

/// A user's id, shared wherever the same user is meant.
pub type UserId = Arc<str>;

/// A user who is online, or was within the grace.
#[derive(Debug)]
struct OnlineUser<R> {
    name: Option<Arc<str>>,
    sessions: u32,
    /// Since when no session lives; `None` while one does.
    gone_at: Option<i64>,
    rooms: Vec<R>,
}

/// A user whose grace has run out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WentOffline<R> {
    /// Who.
    pub user: UserId,
    /// The name from their newest token.
    pub name: Option<Arc<str>>,
    /// When their last session ended, in milliseconds since 1970.
    pub last_seen: i64,
    /// The rooms they took part in.
    pub rooms: Vec<R>,
}

/// One line of the list of who is online in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineEntry {
    /// Who.
    pub user: UserId,
    /// The name from their newest token.
    pub name: Option<Arc<str>>,
    /// When their last session ended; `None` while one lives.
    pub gone_at: Option<i64>,
}

/// The state of presence. `R` names a room.
#[derive(Debug)]
pub struct PresenceTracker<R> {
    grace_ms: i64,
    users: HashMap<UserId, OnlineUser<R>>,
    rooms: HashMap<R, IndexSet<UserId>>,
    leaving: Deadlines<UserId>,
}

impl<R: Copy + Eq + std::hash::Hash> PresenceTracker<R> {
    /// An empty tracker that keeps users online for `grace_ms` after their last session.
    pub fn new(grace_ms: i64) -> Self {
        Self {
            grace_ms,
            users: HashMap::new(),
            rooms: HashMap::new(),
            leaving: Deadlines::default(),
        }
    }

    /// A session of `user` begins. True if that brings the user online; not when they were, or still are by grace.
    pub fn connect(&mut self, user: &UserId, name: Option<Arc<str>>) -> bool {
        if let Some(entry) = self.users.get_mut(user) {
            entry.sessions = entry.sessions.saturating_add(1);
            entry.name = name.or_else(|| entry.name.take());
            if let Some(gone_at) = entry.gone_at.take() {
                self.leaving.clear(gone_at.saturating_add(self.grace_ms), user);
            }
            return false;
        }
        let fresh = OnlineUser {
            name,
            sessions: 1,
            gone_at: None,
            rooms: Vec::new(),
        };
        self.users.insert(Arc::clone(user), fresh);
        true
    }

    /// The user's newest token has another name, or none.
    pub fn rename(&mut self, user: &str, name: Option<Arc<str>>) {
        if let Some(entry) = self.users.get_mut(user) {
            entry.name = name.or_else(|| entry.name.take());
        }
    }

    /// A session of `user` ends at `now`. If it was the last one, the grace begins.
    pub fn disconnect(&mut self, user: &UserId, now: i64) {
        let Some(entry) = self.users.get_mut(user) else {
            return;
        };
        entry.sessions = entry.sessions.saturating_sub(1);
        if entry.sessions == 0 && entry.gone_at.is_none() {
            entry.gone_at = Some(now);
            self.leaving
                .set(now.saturating_add(self.grace_ms), Arc::clone(user));
        }
    }

    /// An online user takes part in `room`. The rooms they were in before if this one is new, else `None`.
    pub fn enter(&mut self, user: &UserId, room: R) -> Option<Vec<R>> {
        let entry = self.users.get_mut(user)?;
        if !self.rooms.entry(room).or_default().insert(Arc::clone(user)) {
            return None;
        }
        let before = entry.rooms.clone();
        // Most users are in a room or two: no room for more than they have.
        entry.rooms.reserve_exact(1);
        entry.rooms.push(room);
        Some(before)
    }

    /// The user takes part in `room` no more.
    pub fn leave(&mut self, user: &UserId, room: R) {
        if let Some(entry) = self.users.get_mut(user) {
            entry.rooms.retain(|known| *known != room);
        }
        self.remove_from_room(user, room);
    }

    /// Users whose grace has run out at `now`. Each is told once.
    pub fn tick(&mut self, now: i64) -> Vec<WentOffline<R>> {
        let mut gone = Vec::new();
        while let Some((_, user)) = self.leaving.pop_due(now) {
            let Some(entry) = self.users.remove(&user) else {
                continue;
            };
            for room in &entry.rooms {
                self.remove_from_room(&user, *room);
            }
            let last_seen = entry.gone_at.unwrap_or(now);
            gone.push(WentOffline {
                user,
                name: entry.name,
                last_seen,
                rooms: entry.rooms,
            });
        }
        gone
    }

    /// When [`PresenceTracker::tick`] has something to do next.
    pub fn next_deadline(&self) -> Option<i64> {
        self.leaving.next()
    }

    /// Up to `limit` of those online in `room`, in the order in which they came.
    pub fn online_in(&self, room: R, limit: usize) -> Vec<OnlineEntry> {
        let users = self.rooms.get(&room).into_iter().flatten();
        users.filter_map(|user| self.entry(user)).take(limit).collect()
    }

    /// How many users are online in `room`.
    pub fn count_in(&self, room: R) -> usize {
        self.rooms.get(&room).map_or(0, IndexSet::len)
    }

    /// The user, if online.
    pub fn entry(&self, user: &str) -> Option<OnlineEntry> {
        let (user, entry) = self.users.get_key_value(user)?;
        Some(OnlineEntry {
            user: Arc::clone(user),
            name: entry.name.clone(),
            gone_at: entry.gone_at,
        })
    }

    /// How many users are online.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody is online.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Everyone who is online, for the last words of a server that stops.
    pub fn everyone(&self) -> Vec<OnlineEntry> {
        self.users.keys().filter_map(|user| self.entry(user)).collect()
    }

    fn remove_from_room(&mut self, user: &UserId, room: R) {
        if let Some(users) = self.rooms.get_mut(&room) {
            users.swap_remove(user);
            if users.is_empty() {
                self.rooms.remove(&room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn user(name: &str) -> UserId {
        Arc::from(name)
    }

    #[test]
    fn a_reload_within_the_grace_is_not_seen() {
        let mut presence = PresenceTracker::<u8>::new(5_000);
        assert!(presence.connect(&user("a"), None));
        presence.disconnect(&user("a"), 1_000);
        assert!(!presence.connect(&user("a"), None));
        assert!(presence.tick(100_000).is_empty());
        assert_eq!(presence.next_deadline(), None);
    }

    #[test]
    fn the_last_device_counts_and_last_seen_is_when_it_went() {
        let mut presence = PresenceTracker::new(5_000);
        presence.connect(&user("a"), None);
        presence.connect(&user("a"), None);
        assert_eq!(presence.enter(&user("a"), 1), Some(vec![]));
        assert_eq!(presence.enter(&user("a"), 2), Some(vec![1]));
        assert_eq!(presence.enter(&user("a"), 2), None);
        presence.disconnect(&user("a"), 1_000);
        presence.disconnect(&user("a"), 2_000);
        assert!(presence.tick(6_999).is_empty());
        assert_eq!(presence.count_in(1), 1, "within the grace the user is online");
        let gone = WentOffline {
            user: user("a"),
            name: None,
            last_seen: 2_000,
            rooms: vec![1, 2],
        };
        assert_eq!(presence.tick(7_000), vec![gone]);
        assert_eq!(presence.count_in(1), 0);
        assert!(presence.is_empty());
    }

    #[test]
    fn a_newer_token_may_bring_a_newer_name_but_none_does_not_erase_it() {
        let mut presence = PresenceTracker::<u8>::new(5_000);
        presence.connect(&user("a"), Some(Arc::from("Ann")));
        presence.connect(&user("a"), None);
        assert_eq!(presence.entry("a").unwrap().name.as_deref(), Some("Ann"));
    }

    /// The model: per user the list of live sessions and the end of the last one; all is recomputed each time.
    #[derive(Default)]
    struct Naive {
        sessions: BTreeMap<u8, u32>,
        gone: BTreeMap<u8, i64>,
        rooms: BTreeMap<u8, BTreeSet<u8>>,
    }

    impl Naive {
        fn online(&self, user: u8) -> bool {
            self.sessions.get(&user).copied().unwrap_or(0) > 0 || self.gone.contains_key(&user)
        }

        fn settle(&mut self, now: i64, grace: i64) -> BTreeSet<(u8, i64)> {
            let due: BTreeSet<_> = self
                .gone
                .iter()
                .filter(|(_, at)| *at + grace <= now)
                .map(|(u, at)| (*u, *at))
                .collect();
            for (user, _) in &due {
                self.gone.remove(user);
                self.rooms.remove(user);
            }
            due
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_naive_model(steps in prop::collection::vec((0u8..5, 0u8..3, 0u8..3, 0i64..4_000), 1..80)) {
            let grace = 5_000;
            let mut presence = PresenceTracker::new(grace);
            let mut naive = Naive::default();
            let mut now = 0;
            for (action, who, room, pause) in steps {
                now += pause;
                let gone: BTreeSet<_> = presence.tick(now).into_iter()
                    .map(|gone| (gone.user.parse::<u8>().unwrap(), gone.last_seen)).collect();
                prop_assert_eq!(gone, naive.settle(now, grace));
                let id = user(&who.to_string());
                match action {
                    0 | 1 => {
                        let was = naive.online(who);
                        naive.gone.remove(&who);
                        *naive.sessions.entry(who).or_default() += 1;
                        prop_assert_eq!(presence.connect(&id, None), !was);
                    }
                    2 => {
                        if let Some(count) = naive.sessions.get_mut(&who).filter(|count| **count > 0) {
                            *count -= 1;
                            if *count == 0 { naive.gone.insert(who, now); }
                            presence.disconnect(&id, now);
                        }
                    }
                    3 => {
                        let new = naive.online(who) && naive.rooms.entry(who).or_default().insert(room);
                        prop_assert_eq!(presence.enter(&id, room).is_some(), new);
                    }
                    _ => {
                        naive.rooms.entry(who).or_default().remove(&room);
                        presence.leave(&id, room);
                    }
                }
                for room in 0..3u8 {
                    let expected: BTreeSet<_> = (0..3u8)
                        .filter(|who| naive.online(*who) && naive.rooms.get(who).is_some_and(|r| r.contains(&room)))
                        .map(|who| user(&who.to_string())).collect();
                    let listed: BTreeSet<_> = presence.online_in(room, 100).into_iter().map(|e| e.user).collect();
                    prop_assert_eq!(&listed, &expected);
                    prop_assert_eq!(presence.count_in(room), expected.len());
                }
            }
        }
    }
}
