//! The online users with their rooms and status, as a value: no clock, no task, no socket, no store.
//!
//! A user is online while they have a session, and for a grace after the last one has ended, so that a reload
//! of a page changes nothing. All devices of a user are one entry. A user who chose to be invisible is online
//! and does not show. The presence server decides who gets a change.

mod entry;

use std::{collections::HashMap, sync::Arc};

pub use self::entry::{Choice, OnlineEntry, Recalled};
use crate::{deadlines::Deadlines, types::UserId};
use indexmap::IndexSet;

/// An online user, by a session or by grace.
#[derive(Debug)]
struct OnlineUser<R> {
    name: Option<Arc<str>>,
    sessions: u32,
    /// When the last session ended; `None` while there is one.
    gone_at: Option<i64>,
    /// The monotonic time at which the grace ends, if it runs.
    grace_ends: Option<i64>,
    /// When the server ended all sessions of the user for good, if no session has begun since. No grace
    /// follows.
    dismissed_at: Option<i64>,
    rooms: Vec<R>,
    choice: Choice,
    /// When others last saw the user; `None` while they show.
    hidden_since: Option<i64>,
}

impl<R> OnlineUser<R> {
    fn entry(&self, user: &UserId) -> OnlineEntry {
        OnlineEntry {
            user: Arc::clone(user),
            name: self.name.clone(),
            gone_at: self.gone_at,
            choice: self.choice.clone(),
            hidden_since: self.hidden_since,
        }
    }
}

/// The users who are online in one room.
#[derive(Debug, Default)]
struct RoomUsers {
    users: IndexSet<UserId>,
    /// How many of them don't show.
    hidden: usize,
}

/// A user whose grace is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WentOffline<R> {
    /// The user's last entry. `gone_at` is the end of their last session.
    pub last: OnlineEntry,
    /// The rooms that they were online in.
    pub rooms: Vec<R>,
}

/// The presence of all users of a node. `R` identifies a room.
#[derive(Debug)]
pub struct PresenceTracker<R> {
    grace_ms: i64,
    users: HashMap<UserId, OnlineUser<R>>,
    rooms: HashMap<R, RoomUsers>,
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

    // ---- sessions

    /// A session of `user` begins. True if that brings the user online; false if they are online already,
    /// also by grace. Then `recalled` does not count: the user may have chosen another status since it was
    /// read.
    pub fn connect(&mut self, user: &UserId, name: Option<Arc<str>>, recalled: Recalled) -> bool {
        if let Some(entry) = self.users.get_mut(user) {
            entry.sessions = entry.sessions.saturating_add(1);
            entry.name = name.or_else(|| entry.name.take());
            entry.gone_at = None;
            entry.dismissed_at = None;
            if let Some(grace_ends) = entry.grace_ends.take() {
                self.leaving.clear(grace_ends, user);
            }
            return false;
        }
        let fresh = OnlineUser {
            name,
            sessions: 1,
            gone_at: None,
            grace_ends: None,
            dismissed_at: None,
            rooms: Vec::new(),
            hidden_since: recalled.last_seen.filter(|_| !recalled.choice.shows()),
            choice: recalled.choice,
        };
        self.users.insert(Arc::clone(user), fresh);
        true
    }

    /// The user's newest token has this name.
    pub fn rename(&mut self, user: &str, name: Option<Arc<str>>) {
        if let Some(entry) = self.users.get_mut(user) {
            entry.name = name.or_else(|| entry.name.take());
        }
    }

    /// A session of `user` ends. After the last one the grace begins, at `now` in monotonic time. `wall_now`
    /// is the last-seen time that others get.
    pub fn disconnect(&mut self, user: &UserId, wall_now: i64, now: i64) {
        let Some(entry) = self.users.get_mut(user) else {
            return;
        };
        entry.sessions = entry.sessions.saturating_sub(1);
        if entry.sessions == 0 && entry.gone_at.is_none() {
            let grace_ms = if entry.dismissed_at.is_some() {
                0
            } else {
                self.grace_ms
            };
            let grace_ends = now.saturating_add(grace_ms);
            entry.gone_at = Some(entry.dismissed_at.unwrap_or(wall_now));
            entry.grace_ends = Some(grace_ends);
            self.leaving.set(grace_ends, Arc::clone(user));
        }
    }

    /// The server ends all sessions of `user` for good. The user goes offline with the last of them, or now
    /// if only the grace is left. `wall_at` is the last-seen time that others get.
    pub fn dismiss(&mut self, user: &UserId, wall_at: i64, now: i64) {
        let Some(entry) = self.users.get_mut(user) else {
            return;
        };
        entry.dismissed_at = Some(wall_at);
        if let Some(grace_ends) = &mut entry.grace_ends {
            self.leaving.clear(*grace_ends, user);
            self.leaving.set(now, Arc::clone(user));
            *grace_ends = now;
        }
    }

    /// Removes and returns the users whose grace is over at the monotonic time `now`.
    pub fn tick(&mut self, now: i64) -> Vec<WentOffline<R>> {
        let mut gone = Vec::new();
        while let Some((_, user)) = self.leaving.pop_due(now) {
            let Some(entry) = self.users.remove(&user) else {
                continue;
            };
            for room in &entry.rooms {
                self.remove_from_room(&user, *room, entry.choice.shows());
            }
            let last = entry.entry(&user);
            gone.push(WentOffline {
                last,
                rooms: entry.rooms,
            });
        }
        gone
    }

    /// When [`PresenceTracker::tick`] has something to do next.
    pub fn next_deadline(&self) -> Option<i64> {
        self.leaving.next()
    }

    // ---- status

    /// The status that an online user chose.
    pub fn choice(&self, user: &str) -> Option<&Choice> {
        self.users.get(user).map(|entry| &entry.choice)
    }

    /// The user chooses a status at `now`. Returns the one before; `None` if they are not online.
    pub fn choose(&mut self, user: &str, choice: Choice, now: i64) -> Option<Choice> {
        let entry = self.users.get_mut(user)?;
        let (showed, shows) = (entry.choice.shows(), choice.shows());
        for room in &entry.rooms {
            if let Some(room_users) = self.rooms.get_mut(room) {
                room_users.hidden = room_users.hidden + usize::from(showed) - usize::from(shows);
            }
        }
        if shows {
            entry.hidden_since = None;
        } else if showed {
            entry.hidden_since = Some(entry.gone_at.unwrap_or(now));
        }
        Some(std::mem::replace(&mut entry.choice, choice))
    }

    // ---- rooms

    /// An online user enters `room`. False if they are in it already, or not online.
    pub fn enter(&mut self, user: &UserId, room: R) -> bool {
        let Some(entry) = self.users.get_mut(user) else {
            return false;
        };
        let room_users = self.rooms.entry(room).or_default();
        if !room_users.users.insert(Arc::clone(user)) {
            return false;
        }
        room_users.hidden += usize::from(!entry.choice.shows());
        // Most users are in a room or two: no capacity beyond that.
        entry.rooms.reserve_exact(1);
        entry.rooms.push(room);
        true
    }

    /// The user leaves `room`. Returns whether they were in it.
    pub fn leave(&mut self, user: &UserId, room: R) -> bool {
        let Some(entry) = self.users.get_mut(user) else {
            return false;
        };
        let before = entry.rooms.len();
        entry.rooms.retain(|known| *known != room);
        let was_in = entry.rooms.len() < before;
        let shows = entry.choice.shows();
        self.remove_from_room(user, room, shows);
        was_in
    }

    /// The rooms that an online user is in.
    pub fn rooms_of(&self, user: &str) -> &[R] {
        self.users.get(user).map_or(&[], |entry| &entry.rooms)
    }

    /// Whether the user is online in `room`.
    pub fn is_in(&self, user: &str, room: R) -> bool {
        self.rooms
            .get(&room)
            .is_some_and(|room_users| room_users.users.contains(user))
    }

    /// Up to `limit` of the users who show in `room`, in no particular order.
    pub fn showing_in(&self, room: R, limit: usize) -> Vec<OnlineEntry> {
        let entries = self.everyone_in(room).filter_map(|user| self.entry(user));
        entries.filter(|entry| entry.choice.shows()).take(limit).collect()
    }

    /// How many users show in `room`.
    pub fn count_showing(&self, room: R) -> usize {
        self.rooms
            .get(&room)
            .map_or(0, |room_users| room_users.users.len() - room_users.hidden)
    }

    /// All users who are online in `room`, whether or not they show, in no particular order.
    pub fn everyone_in(&self, room: R) -> impl Iterator<Item = &UserId> {
        self.rooms
            .get(&room)
            .into_iter()
            .flat_map(|room_users| &room_users.users)
    }

    /// How many users are online in `room`, whether or not they show.
    pub fn count_in(&self, room: R) -> usize {
        self.rooms
            .get(&room)
            .map_or(0, |room_users| room_users.users.len())
    }

    // ---- all users

    /// The user, if online.
    pub fn entry(&self, user: &str) -> Option<OnlineEntry> {
        let (user, entry) = self.users.get_key_value(user)?;
        Some(entry.entry(user))
    }

    /// How many users are online.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether no user is online.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// All users who are online.
    pub fn everyone(&self) -> Vec<OnlineEntry> {
        self.users.iter().map(|(user, entry)| entry.entry(user)).collect()
    }

    fn remove_from_room(&mut self, user: &UserId, room: R, shows: bool) {
        if let Some(room_users) = self.rooms.get_mut(&room)
            && room_users.users.swap_remove(user)
        {
            room_users.hidden -= usize::from(!shows);
            if room_users.users.is_empty() {
                self.rooms.remove(&room);
            }
        }
    }
}

#[cfg(test)]
mod tests;
