//! Tests of the presence tracker, on a clock that the test moves.

use super::*;
use proptest::prelude::*;
use roomful_store::ChosenStatus;
use std::collections::{BTreeMap, BTreeSet};

fn user(name: &str) -> UserId {
    Arc::from(name)
}

#[test]
fn a_reload_within_the_grace_is_not_seen() {
    let mut presence = PresenceTracker::<u8>::new(5_000);
    assert!(arrive(&mut presence, "a"));
    presence.disconnect(&user("a"), 1_000, 1_000);
    assert!(!arrive(&mut presence, "a"));
    assert!(presence.tick(100_000).is_empty());
    assert_eq!(presence.next_deadline(), None);
}

#[test]
fn a_user_goes_offline_with_the_last_device_and_was_last_seen_then() {
    let mut presence = PresenceTracker::new(5_000);
    arrive(&mut presence, "a");
    arrive(&mut presence, "a");
    assert!(presence.enter(&user("a"), 1));
    assert!(presence.enter(&user("a"), 2));
    assert!(!presence.enter(&user("a"), 2));
    presence.disconnect(&user("a"), 1_000, 1_000);
    presence.disconnect(&user("a"), 2_000, 2_000);
    assert!(presence.tick(6_999).is_empty());
    assert_eq!(presence.count_in(1), 1, "within the grace the user is online");
    let gone = presence.tick(7_000).remove(0);
    assert_eq!(
        (&*gone.last.user, gone.last.gone_at, gone.rooms),
        ("a", Some(2_000), vec![1, 2])
    );
    assert_eq!(presence.count_in(1), 0);
    assert!(presence.is_empty());
}

#[test]
fn a_dismissed_user_goes_offline_with_the_last_session() {
    let mut presence = PresenceTracker::<u8>::new(5_000);
    arrive(&mut presence, "a");
    arrive(&mut presence, "a");
    presence.dismiss(&user("a"), 1_000, 1_000);
    presence.disconnect(&user("a"), 2_000, 2_000);
    assert!(presence.tick(2_000).is_empty());
    presence.disconnect(&user("a"), 3_000, 3_000);
    let gone = presence.tick(3_000).remove(0);
    assert_eq!(gone.last.gone_at, Some(1_000), "others saw them until then");
}

#[test]
fn a_dismissal_ends_the_grace() {
    let mut presence = PresenceTracker::<u8>::new(5_000);
    arrive(&mut presence, "a");
    presence.disconnect(&user("a"), 1_000, 1_000);
    presence.dismiss(&user("a"), 2_000, 2_000);
    assert_eq!(presence.next_deadline(), Some(2_000));
    let gone = presence.tick(2_000).remove(0);
    assert_eq!((gone.last.gone_at, presence.next_deadline()), (Some(1_000), None));
    presence.dismiss(&user("a"), 3_000, 3_000);
    assert!(presence.is_empty());
}

#[test]
fn a_session_after_a_dismissal_has_a_grace_again() {
    let mut presence = PresenceTracker::<u8>::new(5_000);
    arrive(&mut presence, "a");
    presence.dismiss(&user("a"), 1_000, 1_000);
    arrive(&mut presence, "a");
    presence.disconnect(&user("a"), 2_000, 2_000);
    presence.disconnect(&user("a"), 2_000, 2_000);
    assert!(presence.tick(6_999).is_empty());
    assert_eq!(presence.tick(7_000).remove(0).last.gone_at, Some(2_000));
}

/// A user with this earlier choice connects.
fn come(presence: &mut PresenceTracker<u8>, name: &str, status: ChosenStatus, last_seen: i64) -> bool {
    let recalled = Recalled {
        choice: choice(status),
        last_seen: Some(last_seen),
    };
    presence.connect(&user(name), None, recalled)
}

/// A user connects for the first time.
fn arrive(presence: &mut PresenceTracker<u8>, name: &str) -> bool {
    presence.connect(&user(name), None, Recalled::default())
}

fn choice(status: ChosenStatus) -> Choice {
    Choice { status, text: None }
}

fn names(entries: Vec<OnlineEntry>) -> Vec<String> {
    entries.into_iter().map(|entry| entry.user.to_string()).collect()
}

#[test]
fn a_choice_made_meanwhile_wins_over_the_recalled_one() {
    let mut presence = PresenceTracker::<u8>::new(5_000);
    assert!(come(&mut presence, "a", ChosenStatus::Away, 0));
    assert_eq!(presence.choice("a"), Some(&choice(ChosenStatus::Away)));
    presence.choose("a", choice(ChosenStatus::Invisible), 1_000);
    assert!(!come(&mut presence, "a", ChosenStatus::Away, 500));
    assert_eq!(presence.choice("a"), Some(&choice(ChosenStatus::Invisible)));
    assert_eq!(presence.entry("a").unwrap().last_shown(9_000), Some(1_000));
}

#[test]
fn an_invisible_user_was_last_seen_when_they_vanished() {
    let mut presence = PresenceTracker::new(5_000);
    assert!(come(&mut presence, "a", ChosenStatus::Online, 500));
    presence.enter(&user("a"), 1);
    assert_eq!(
        presence.choose("a", choice(ChosenStatus::Busy), 900),
        Some(choice(ChosenStatus::Online))
    );
    assert_eq!(
        presence.choose("a", choice(ChosenStatus::Invisible), 1_000),
        Some(choice(ChosenStatus::Busy))
    );
    assert_eq!(
        presence.choose("a", choice(ChosenStatus::Invisible), 2_000),
        Some(choice(ChosenStatus::Invisible))
    );
    let entry = presence.entry("a").unwrap();
    assert_eq!(
        (entry.last_shown(3_000), entry.last_seen(3_000)),
        (Some(1_000), 3_000)
    );
    assert_eq!((presence.count_showing(1), presence.count_in(1)), (0, 1));
    presence.enter(&user("a"), 2);
    assert_eq!(names(presence.showing_in(2, 10)), [""; 0]);
    assert_eq!(
        presence.choose("a", choice(ChosenStatus::Away), 4_000),
        Some(choice(ChosenStatus::Invisible))
    );
    assert_eq!((presence.count_showing(1), presence.count_showing(2)), (1, 1));
    assert_eq!(presence.entry("a").unwrap().last_shown(5_000), Some(5_000));
}

#[test]
fn an_invisible_visit_leaves_no_trace() {
    let mut presence = PresenceTracker::new(5_000);
    assert!(come(&mut presence, "a", ChosenStatus::Invisible, 500));
    presence.enter(&user("a"), 1);
    presence.disconnect(&user("a"), 6_000, 6_000);
    let gone = presence.tick(11_000).remove(0);
    assert_eq!(
        (gone.last.last_shown(11_000), gone.last.gone_at),
        (Some(500), Some(6_000))
    );
    assert_eq!(presence.count_in(1), 0);
    assert_eq!(presence.choose("a", choice(ChosenStatus::Online), 12_000), None);
}

#[test]
fn a_choice_survives_a_reload() {
    let mut presence = PresenceTracker::<u8>::new(5_000);
    come(&mut presence, "a", ChosenStatus::Busy, 0);
    presence.disconnect(&user("a"), 1_000, 1_000);
    arrive(&mut presence, "a");
    assert_eq!(presence.choice("a"), Some(&choice(ChosenStatus::Busy)));
}

#[test]
fn a_token_with_a_name_replaces_the_name_and_one_without_keeps_it() {
    let mut presence = PresenceTracker::<u8>::new(5_000);
    presence.connect(&user("a"), Some(Arc::from("Ann")), Recalled::default());
    arrive(&mut presence, "a");
    assert_eq!(presence.entry("a").unwrap().name.as_deref(), Some("Ann"));
}

#[test]
fn the_grace_is_monotonic_and_last_seen_is_wall_time() {
    let mut presence = PresenceTracker::<u8>::new(5_000);
    presence.connect(&user("a"), None, Recalled::default());
    presence.disconnect(&user("a"), 900_000, 1_000);
    assert_eq!(presence.next_deadline(), Some(6_000));
    assert!(presence.tick(5_999).is_empty());
    let gone = presence.tick(6_000).remove(0);
    assert_eq!(gone.last.gone_at, Some(900_000));
}

/// The model: for each user the sessions and the end of the last one, from which it computes everything each
/// time.
#[derive(Default)]
struct Naive {
    sessions: BTreeMap<u8, u32>,
    gone: BTreeMap<u8, i64>,
    rooms: BTreeMap<u8, BTreeSet<u8>>,
    /// Users that don't show.
    hidden: BTreeSet<u8>,
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
    fn it_agrees_with_a_naive_model(
        steps in prop::collection::vec((0u8..7, 0u8..3, 0u8..3, 0i64..4_000), 1..80),
    ) {
        let grace = 5_000;
        let mut presence = PresenceTracker::new(grace);
        let mut naive = Naive::default();
        let mut now = 0;
        for (action, who, room, pause) in steps {
            now += pause;
            let gone: BTreeSet<_> = presence.tick(now).into_iter()
                .map(|gone| (gone.last.user.parse::<u8>().unwrap(), gone.last.gone_at.unwrap())).collect();
            prop_assert_eq!(gone, naive.settle(now, grace));
            let id = user(&who.to_string());
            match action {
                0 | 1 => {
                    let was = naive.online(who);
                    naive.gone.remove(&who);
                    *naive.sessions.entry(who).or_default() += 1;
                    prop_assert_eq!(presence.connect(&id, None, Recalled::default()), !was);
                    if !was {
                        naive.hidden.remove(&who);
                    }
                }
                2 => {
                    if let Some(count) = naive.sessions.get_mut(&who).filter(|count| **count > 0) {
                        *count -= 1;
                        if *count == 0 { naive.gone.insert(who, now); }
                        presence.disconnect(&id, now, now);
                    }
                }
                3 => {
                    let new = naive.online(who) && naive.rooms.entry(who).or_default().insert(room);
                    prop_assert_eq!(presence.enter(&id, room), new);
                }
                4 => {
                    let before = presence.choose(&id, choice(ChosenStatus::Invisible), now);
                    let vanishes = naive.online(who) && naive.hidden.insert(who);
                    prop_assert_eq!(before.is_some_and(|before| before.shows()), vanishes);
                }
                5 => {
                    let before = presence.choose(&id, choice(ChosenStatus::Away), now);
                    let appears = naive.online(who) && naive.hidden.remove(&who);
                    prop_assert_eq!(before.is_some_and(|before| !before.shows()), appears);
                }
                _ => {
                    naive.rooms.entry(who).or_default().remove(&room);
                    presence.leave(&id, room);
                }
            }
            for room in 0..3u8 {
                let expected: BTreeSet<_> = (0..3u8)
                    .filter(|who| {
                        naive.online(*who) && naive.rooms.get(who).is_some_and(|r| r.contains(&room))
                    })
                    .map(|who| user(&who.to_string())).collect();
                let here: BTreeSet<_> = presence.everyone_in(room).cloned().collect();
                prop_assert_eq!(&here, &expected);
                prop_assert_eq!(presence.count_in(room), expected.len());
                let shown: BTreeSet<_> = expected.into_iter()
                    .filter(|id| !naive.hidden.contains(&id.parse().unwrap())).collect();
                let listed = presence.showing_in(room, 100).into_iter().map(|entry| entry.user);
                let listed: BTreeSet<_> = listed.collect();
                prop_assert_eq!(&listed, &shown);
                prop_assert_eq!(presence.count_showing(room), shown.len());
            }
        }
    }
}
