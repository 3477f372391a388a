//! Who types where, as a value: no clock, no task, no socket.
//!
//! A user's starts in a room are broadcast at most once in [`TypingLimits::pass_every_ms`]. A user who shows
//! as typing shows as stopped once, at the latest [`TypingLimits::ends_after_ms`] after their last start. A
//! start that comes too soon after the one before is not lost: it is broadcast when it is due.

use std::{collections::HashMap, sync::Arc};

use crate::deadlines::Deadlines;

/// The times of typing, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypingLimits {
    /// The shortest time between two broadcast starts.
    pub pass_every_ms: i64,
    /// The time after the last start at which typing ends by itself.
    pub ends_after_ms: i64,
}

impl Default for TypingLimits {
    fn default() -> Self {
        Self {
            pass_every_ms: 2_000,
            ends_after_ms: 6_000,
        }
    }
}

/// A user in a room, which `R` identifies.
pub type Typist<R> = (R, Arc<str>);

/// A change to broadcast to the others in the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypingChange<R> {
    /// The user types.
    Start(Typist<R>),
    /// The user has stopped.
    Stop(Typist<R>),
}

#[derive(Debug)]
struct Entry {
    /// When a start was last broadcast; `None` before the first.
    passed_at: Option<i64>,
    /// Whether the user shows as typing.
    shown: bool,
    /// When typing ends by itself; `None` if the user does not type and the entry only keeps `passed_at`.
    ends_at: Option<i64>,
    /// The time of the entry in `deadlines`.
    due: i64,
    /// The session that typed last: when it ends, the typing ends.
    session: u64,
}

/// The users who type. A user has an entry while they type, and until their next start may be broadcast.
#[derive(Debug)]
pub struct TypingTracker<R> {
    limits: TypingLimits,
    entries: HashMap<Typist<R>, Entry>,
    deadlines: Deadlines<Typist<R>>,
}

impl<R: Clone + Ord + std::hash::Hash> TypingTracker<R> {
    /// An empty tracker.
    pub fn new(limits: TypingLimits) -> Self {
        Self {
            limits,
            entries: HashMap::new(),
            deadlines: Deadlines::default(),
        }
    }

    /// A user types, by their `session`. Returns the change to broadcast now.
    pub fn start(&mut self, who: Typist<R>, session: u64, now: i64) -> Option<TypingChange<R>> {
        let limits = self.limits;
        let entry = self.entries.entry(who.clone()).or_insert(Entry {
            passed_at: None,
            shown: false,
            ends_at: None,
            due: i64::MIN,
            session,
        });
        entry.session = session;
        entry.ends_at = Some(now.saturating_add(limits.ends_after_ms));
        let pass = entry.may_pass(limits, now);
        if pass {
            entry.passed_at = Some(now);
            entry.shown = true;
        }
        self.reschedule(&who);
        pass.then_some(TypingChange::Start(who))
    }

    /// The user has stopped: by the event, by a message, or by leaving the room.
    pub fn stop(&mut self, who: &Typist<R>, now: i64) -> Option<TypingChange<R>> {
        let entry = self.entries.get_mut(who)?;
        entry.ends_at = None;
        let was_shown = std::mem::take(&mut entry.shown);
        self.forget_if_stale(who, now);
        was_shown.then(|| TypingChange::Stop(who.clone()))
    }

    /// A session has ended: typing ends in those of `rooms` where it typed last.
    pub fn end_session(
        &mut self,
        user: &Arc<str>,
        session: u64,
        rooms: impl IntoIterator<Item = R>,
        now: i64,
    ) -> Vec<TypingChange<R>> {
        let typists = rooms.into_iter().map(|room| (room, Arc::clone(user)));
        let mine = |who: &Typist<R>| {
            self.entries
                .get(who)
                .is_some_and(|entry| entry.session == session)
        };
        let ended: Vec<_> = typists.filter(mine).collect();
        ended.iter().filter_map(|who| self.stop(who, now)).collect()
    }

    /// The changes that are due at `now`: starts that had to wait, and typing that ends by itself.
    pub fn tick(&mut self, now: i64) -> Vec<TypingChange<R>> {
        let mut changes = Vec::new();
        while let Some((_, who)) = self.deadlines.pop_due(now) {
            let Some(entry) = self.entries.get_mut(&who) else {
                continue;
            };
            entry.due = i64::MIN;
            if entry.ends_at.is_some_and(|ends_at| ends_at <= now) {
                changes.extend(self.stop(&who, now));
            } else if entry.ends_at.is_some() && !entry.shown && entry.may_pass(self.limits, now) {
                entry.passed_at = Some(now);
                entry.shown = true;
                changes.push(TypingChange::Start(who.clone()));
                self.reschedule(&who);
            } else {
                self.forget_if_stale(&who, now);
            }
        }
        changes
    }

    /// The users who show as typing, in all rooms.
    pub fn shown(&self) -> impl Iterator<Item = &Typist<R>> {
        let shown = self.entries.iter().filter(|(_, entry)| entry.shown);
        shown.map(|(who, _)| who)
    }

    /// When [`TypingTracker::tick`] has something to do next.
    pub fn next_deadline(&self) -> Option<i64> {
        self.deadlines.next()
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops an entry that is not needed any more, or updates its deadline.
    fn forget_if_stale(&mut self, who: &Typist<R>, now: i64) {
        let Some(entry) = self.entries.get(who) else {
            return;
        };
        if entry.ends_at.is_none() && entry.may_pass(self.limits, now) {
            self.deadlines.clear(entry.due, who);
            self.entries.remove(who);
        } else {
            self.reschedule(who);
        }
    }

    fn reschedule(&mut self, who: &Typist<R>) {
        let Some(entry) = self.entries.get_mut(who) else {
            return;
        };
        let pass_at = entry
            .passed_at
            .map_or(i64::MIN, |at| at.saturating_add(self.limits.pass_every_ms));
        let due = match entry.ends_at {
            Some(ends_at) if entry.shown => ends_at,
            Some(ends_at) => ends_at.min(pass_at),
            None => pass_at,
        };
        if due != entry.due {
            self.deadlines.clear(entry.due, who);
            entry.due = due;
            self.deadlines.set(due, who.clone());
        }
    }
}

impl Entry {
    fn may_pass(&self, limits: TypingLimits, now: i64) -> bool {
        self.passed_at
            .is_none_or(|at| now >= at.saturating_add(limits.pass_every_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn who(room: u8) -> Typist<u8> {
        (room, Arc::from("alice"))
    }

    fn tracker() -> TypingTracker<u8> {
        TypingTracker::new(TypingLimits::default())
    }

    #[test]
    fn a_start_is_broadcast_once_in_two_seconds_and_ends_after_six() {
        let mut typing = tracker();
        assert_eq!(typing.start(who(1), 7, 0), Some(TypingChange::Start(who(1))));
        assert_eq!(typing.start(who(1), 7, 1_999), None);
        assert_eq!(typing.start(who(1), 7, 2_000), Some(TypingChange::Start(who(1))));
        assert_eq!(typing.next_deadline(), Some(8_000));
        assert!(typing.tick(7_999).is_empty());
        assert_eq!(typing.tick(8_000), vec![TypingChange::Stop(who(1))]);
        assert!(typing.is_empty());
    }

    #[test]
    fn a_start_soon_after_a_stop_waits_instead_of_being_lost() {
        let mut typing = tracker();
        typing.start(who(1), 7, 0);
        assert_eq!(typing.stop(&who(1), 500), Some(TypingChange::Stop(who(1))));
        assert_eq!(typing.start(who(1), 7, 600), None);
        assert_eq!(typing.next_deadline(), Some(2_000));
        assert_eq!(typing.tick(2_000), vec![TypingChange::Start(who(1))]);
        assert_eq!(typing.tick(6_600), vec![TypingChange::Stop(who(1))]);
    }

    #[test]
    fn a_start_that_ends_before_it_is_due_is_never_shown() {
        let mut typing = tracker();
        typing.start(who(1), 7, 0);
        typing.stop(&who(1), 500);
        typing.start(who(1), 7, 600);
        assert_eq!(typing.stop(&who(1), 700), None);
        assert!(typing.tick(10_000).is_empty());
        assert!(typing.is_empty());
    }

    #[test]
    fn an_ended_session_ends_only_its_own_typing() {
        let mut typing = tracker();
        typing.start(who(1), 7, 0);
        typing.start(who(2), 8, 0);
        assert_eq!(
            typing.end_session(&Arc::from("alice"), 7, [1, 2, 3], 10),
            vec![TypingChange::Stop(who(1))]
        );
        assert_eq!(
            typing.len(),
            2,
            "the entry stays until the next start may be broadcast"
        );
        assert_eq!(typing.tick(6_000), vec![TypingChange::Stop(who(2))]);
        assert!(typing.is_empty());
    }

    proptest! {
        /// Whatever a client does: starts keep their distance, each stop follows a start, and typing ends.
        #[test]
        fn starts_keep_their_distance_and_typing_ends(
            steps in prop::collection::vec((0u8..4, 0u8..2, 0i64..2_500), 1..60),
        ) {
            let mut typing = tracker();
            let limits = TypingLimits::default();
            let mut now = 0;
            let mut last_wish = HashMap::new();
            let mut shown: HashMap<u8, bool> = HashMap::new();
            let mut passed: HashMap<u8, i64> = HashMap::new();
            for (action, room, pause) in steps {
                let target = now + pause;
                let mut changes = Vec::new();
                while let Some(due) = typing.next_deadline().filter(|due| *due <= target) {
                    now = due.max(now);
                    changes.extend(typing.tick(now).into_iter().map(|change| (now, change)));
                }
                now = target;
                let said = match action {
                    0 | 1 => {
                        last_wish.insert(room, now);
                        typing.start(who(room), 1, now).into_iter().collect()
                    }
                    2 => typing.stop(&who(room), now).into_iter().collect(),
                    _ => typing.end_session(&Arc::from("alice"), 1, [room], now),
                };
                changes.extend(said.into_iter().map(|change| (now, change)));
                for (at, change) in changes {
                    match change {
                        TypingChange::Start((room, _)) => {
                            if let Some(before) = passed.insert(room, at) {
                                prop_assert!(at - before >= limits.pass_every_ms);
                            }
                            shown.insert(room, true);
                        }
                        TypingChange::Stop((room, _)) => {
                            prop_assert_eq!(shown.insert(room, false), Some(true), "a stop follows a start");
                        }
                    }
                }
                for (room, wish) in &last_wish {
                    if now >= wish + limits.ends_after_ms {
                        let shown = shown.get(room).copied().unwrap_or(false);
                        prop_assert!(!shown, "typing goes on after its end");
                    }
                }
            }
            while let Some(due) = typing.next_deadline() { typing.tick(due); }
            prop_assert!(typing.is_empty());
        }
    }
}
