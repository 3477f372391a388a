//! What each connected device was given of its user's notifications, as a value: no store, no socket, no clock.
//!
//! A user's notifications are numbered from 1. The law: all sockets of a device are given the same, in the order of the
//! numbers, each number once for as long as the device's mark is kept; a socket that comes later gets what comes later.
//! What is new goes out at once if it is the next number for the device; if something is missing before it, one reader
//! per device fetches it from the store, however many ask for it.

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexSet;

use crate::presence_tracker::UserId;

/// A device's name among its user's; the empty name stands for all sockets that gave none.
pub(crate) type Device = Arc<str>;

/// The devices of the users that are connected. `S` is where a socket's frames go.
#[derive(Debug)]
pub(crate) struct NotificationTracker<S> {
    users: HashMap<UserId, Vec<Line<S>>>,
    /// Devices whose mark the store does not have yet, in the order in which they came to be.
    unsaved: IndexSet<(UserId, Device)>,
    /// The most devices that may stay after their last socket, just to have their mark saved.
    most_unsaved: usize,
}

#[derive(Debug)]
struct Line<S> {
    device: Device,
    /// By the serial of the session.
    seats: Vec<(u64, S)>,
    /// All up to here was queued; `None` until the store was asked.
    given: Option<u64>,
    /// The store's mark, as far as it is known here.
    saved: u64,
    /// The newest number heard of.
    head: u64,
    /// A reader is at work.
    reading: bool,
}

impl<S> Line<S> {
    fn is_unsaved(&self) -> bool {
        self.given.is_some_and(|given| given > self.saved)
    }

    /// Queues a frame everywhere. True if somebody took it.
    fn send(&self, send: &mut impl FnMut(&S) -> bool) -> bool {
        // All of them, hence no short cut.
        self.seats
            .iter()
            .fold(false, |taken, (_, seat)| send(seat) || taken)
    }
}

/// What a reader has to fetch next, and for whom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NextPage<S> {
    /// All up to here was given; `None`: all up to the stored mark.
    pub(crate) after: Option<u64>,
    /// The newest socket. The page waits until that one has room for it, not until all do: an older one may hang on a
    /// connection that is gone, which nobody has noticed yet.
    pub(crate) seat: S,
}

/// Some notifications of a user from the store, ascending.
#[derive(Debug)]
pub(crate) struct Page<F> {
    pub(crate) frames: Vec<(u64, F)>,
    /// The last number that the page covers.
    pub(crate) upto: u64,
    pub(crate) more: bool,
}

impl<S: Clone> NotificationTracker<S> {
    pub(crate) fn new(most_unsaved: usize) -> Self {
        Self {
            users: HashMap::new(),
            unsaved: IndexSet::new(),
            most_unsaved,
        }
    }

    /// A socket comes. True if a reader has to be started for its device.
    #[must_use]
    pub(crate) fn connect(&mut self, user: &UserId, device: &Device, serial: u64, seat: S) -> bool {
        let lines = self.users.entry(Arc::clone(user)).or_default();
        let Some(line) = lines.iter_mut().find(|line| line.device == *device) else {
            // Most users have one device, and most devices one socket: no place for more than there are.
            lines.reserve_exact(1);
            lines.push(Line {
                device: Arc::clone(device),
                seats: vec![(serial, seat)],
                given: None,
                saved: 0,
                head: 0,
                reading: true,
            });
            return true;
        };
        line.seats.reserve_exact(1);
        line.seats.push((serial, seat));
        let behind = line.given.is_none_or(|given| given < line.head);
        behind && !std::mem::replace(&mut line.reading, true)
    }

    /// A socket is gone. A device without sockets is forgotten once the store has its mark.
    pub(crate) fn disconnect(&mut self, user: &UserId, device: &Device, serial: u64) {
        if let Some(line) = self.line(user, device) {
            line.seats.retain(|(known, _)| *known != serial);
            self.tidy(user, device);
        }
    }

    /// The notification `seq` of the user was posted. It goes out where it is the next one; given back are the devices
    /// that a reader has to be started for.
    #[must_use]
    pub(crate) fn announce(
        &mut self,
        user: &UserId,
        seq: u64,
        mut send: impl FnMut(&S) -> bool,
    ) -> Vec<Device> {
        let mut behind = Vec::new();
        for line in self.users.get_mut(user).into_iter().flatten() {
            line.head = line.head.max(seq);
            if line.reading || line.seats.is_empty() || line.given.is_some_and(|given| given >= seq) {
                continue;
            }
            if line.given.map(|given| given + 1) != Some(seq) {
                line.reading = true;
                behind.push(Arc::clone(&line.device));
            } else if line.send(&mut send) {
                line.given = Some(seq);
                self.unsaved.insert((Arc::clone(user), Arc::clone(&line.device)));
            }
        }
        behind
    }

    /// What the device's reader has to fetch; `None` ends it, since nobody is there any more.
    pub(crate) fn next_page(&mut self, user: &UserId, device: &Device) -> Option<NextPage<S>> {
        let line = self.line(user, device)?;
        let Some((_, seat)) = line.seats.last() else {
            line.reading = false;
            self.tidy(user, device);
            return None;
        };
        Some(NextPage {
            after: line.given,
            seat: seat.clone(),
        })
    }

    /// The device's reader has fetched a page; it goes out. True if there is more to fetch, else the reader ends.
    #[must_use]
    pub(crate) fn give<F>(
        &mut self,
        user: &UserId,
        device: &Device,
        page: &Page<F>,
        mut send: impl FnMut(&S, &F) -> bool,
    ) -> bool {
        let Some(line) = self.line(user, device) else {
            return false;
        };
        // What lies below the first of them is the store's mark, or is gone.
        let start = page
            .frames
            .first()
            .map_or(page.upto, |(seq, _)| seq.saturating_sub(1));
        let mut given = *line.given.get_or_insert_with(|| {
            line.saved = start;
            start
        });
        let mut taken = true;
        for (seq, frame) in &page.frames {
            taken = line.send(&mut |seat| send(seat, frame));
            if !taken {
                break;
            }
            given = given.max(*seq);
        }
        if taken {
            given = given.max(page.upto);
        }
        line.given = Some(given);
        let unsaved = line.is_unsaved();
        // If nobody took it, all sockets are at their end; the next one starts a reader.
        let goes_on = taken && (page.more || line.head > given);
        line.reading = goes_on;
        if !taken {
            line.head = line.head.max(given + 1);
        }
        if unsaved {
            self.unsaved.insert((Arc::clone(user), Arc::clone(device)));
        }
        if !goes_on {
            self.tidy(user, device);
        }
        goes_on
    }

    /// Takes up to `most` marks that the store shall be told. Each is answered by [`Self::saved`] or [`Self::failed`].
    pub(crate) fn take_unsaved(&mut self, most: usize) -> Vec<(UserId, Device, u64)> {
        let taken: Vec<_> = self.unsaved.drain(..most.min(self.unsaved.len())).collect();
        let mark = |(user, device): (UserId, Device)| {
            let given = self.line(&user, &device)?.given?;
            Some((user, device, given))
        };
        taken.into_iter().filter_map(mark).collect()
    }

    /// The store has these marks.
    pub(crate) fn saved(&mut self, marks: &[(UserId, Device, u64)]) {
        for (user, device, seq) in marks {
            if let Some(line) = self.line(user, device) {
                line.saved = line.saved.max(*seq);
                self.tidy(user, device);
            }
        }
    }

    /// The store does not have these marks: they are to be saved later.
    pub(crate) fn failed(&mut self, marks: Vec<(UserId, Device, u64)>) {
        for (user, device, _) in marks {
            self.unsaved.insert((Arc::clone(&user), Arc::clone(&device)));
            self.tidy(&user, &device);
        }
    }

    /// How many marks wait to be saved.
    pub(crate) fn unsaved(&self) -> usize {
        self.unsaved.len()
    }

    /// Queues something on the user's other sockets.
    pub(crate) fn tell(&self, user: &UserId, except: u64, mut send: impl FnMut(&S)) {
        let lines = self.users.get(user).into_iter().flatten();
        lines
            .flat_map(|line| &line.seats)
            .filter(|(serial, _)| *serial != except)
            .for_each(|(_, seat)| send(seat));
    }

    fn line(&mut self, user: &UserId, device: &Device) -> Option<&mut Line<S>> {
        self.users
            .get_mut(user)?
            .iter_mut()
            .find(|line| line.device == *device)
    }

    /// Forgets a device that nobody needs any more. One whose mark is not saved stays, or else its next socket would
    /// be given the same again; but only so many may, if the store goes on failing.
    fn tidy(&mut self, user: &UserId, device: &Device) {
        let full = self.unsaved.len() > self.most_unsaved;
        let Some(lines) = self.users.get_mut(user) else {
            return;
        };
        lines.retain(|line| {
            line.device != *device || !line.seats.is_empty() || line.reading || (line.is_unsaved() && !full)
        });
        if !lines.iter().any(|line| line.device == *device) {
            self.unsaved.swap_remove(&(Arc::clone(user), Arc::clone(device)));
        }
        if lines.is_empty() {
            self.users.remove(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    type Tracker = NotificationTracker<u64>;

    fn user() -> UserId {
        Arc::from("ann")
    }

    fn device(name: &str) -> Device {
        Arc::from(name)
    }

    /// A page of the numbers `from` to `upto`, each its own frame.
    fn page(from: u64, upto: u64, more: bool) -> Page<u64> {
        Page {
            frames: (from..=upto).map(|seq| (seq, seq)).collect(),
            upto,
            more,
        }
    }

    #[test]
    fn what_is_next_goes_out_at_once_and_what_is_not_is_fetched() {
        let (ann, phone) = (user(), device("phone"));
        let mut tracker = Tracker::new(10);
        assert!(tracker.connect(&ann, &phone, 1, 1));
        assert!(!tracker.connect(&ann, &phone, 2, 2), "one reader a device");
        // Posted while the reader is at work: it goes on until it has that too.
        assert!(tracker.announce(&ann, 4, |_| panic!("not yet")).is_empty());
        let next = tracker.next_page(&ann, &phone).unwrap();
        assert_eq!(
            (next.after, next.seat),
            (None, 2),
            "the newest socket sets the pace"
        );
        let mut given = Vec::new();
        let mut send = |seat: &u64, frame: &u64| {
            given.push((*seat, *frame));
            true
        };
        assert!(tracker.give(&ann, &phone, &page(3, 3, false), &mut send));
        assert_eq!(tracker.next_page(&ann, &phone).unwrap().after, Some(3));
        assert!(!tracker.give(&ann, &phone, &page(4, 4, false), &mut send));
        assert_eq!(given, [(1, 3), (2, 3), (1, 4), (2, 4)]);
        let mut live = Vec::new();
        assert!(
            tracker
                .announce(&ann, 5, |seat| {
                    live.push(*seat);
                    true
                })
                .is_empty()
        );
        assert_eq!(live, [1, 2]);
        assert!(tracker.announce(&ann, 5, |_| panic!("twice")).is_empty());
        assert_eq!(tracker.announce(&ann, 7, |_| panic!("6 comes first")), [phone]);
    }

    #[test]
    fn a_device_stays_until_its_mark_is_saved() {
        let (ann, phone) = (user(), device("phone"));
        let mut tracker = Tracker::new(10);
        assert!(tracker.connect(&ann, &phone, 1, 1));
        assert!(!tracker.give(&ann, &phone, &page(1, 1, false), |_, _| true));
        tracker.disconnect(&ann, &phone, 1);
        assert!(
            !tracker.connect(&ann, &phone, 2, 2),
            "what the device was given is known though the store does not know it yet"
        );
        tracker.disconnect(&ann, &phone, 2);
        let marks = tracker.take_unsaved(9);
        assert_eq!(marks, [(ann.clone(), phone.clone(), 1)]);
        tracker.failed(marks);
        let marks = tracker.take_unsaved(9);
        tracker.saved(&marks);
        assert!(tracker.users.is_empty() && tracker.unsaved.is_empty());
        assert!(tracker.connect(&ann, &phone, 3, 3), "now the store knows");
    }

    #[test]
    fn marks_that_can_not_be_saved_are_bounded() {
        let ann = user();
        let mut tracker = Tracker::new(2);
        for serial in 0..5u64 {
            let device = device(&serial.to_string());
            assert!(tracker.connect(&ann, &device, serial, serial));
            assert!(!tracker.give(&ann, &device, &page(1, 1, false), |_, _| true));
            tracker.disconnect(&ann, &device, serial);
        }
        assert_eq!(tracker.unsaved(), 2);
        assert_eq!(tracker.users.get(&ann).map(Vec::len), Some(2));
    }

    #[test]
    fn what_nobody_took_is_fetched_by_the_next_socket() {
        let (ann, phone) = (user(), device("phone"));
        let mut tracker = Tracker::new(10);
        assert!(tracker.connect(&ann, &phone, 1, 1));
        assert!(!tracker.give(&ann, &phone, &page(1, 3, true), |_, frame| *frame < 2));
        assert!(tracker.connect(&ann, &phone, 2, 2));
        assert_eq!(tracker.next_page(&ann, &phone).unwrap().after, Some(1));
        assert!(!tracker.give(&ann, &phone, &page(2, 3, false), |_, _| true));
        assert!(tracker.announce(&ann, 4, |_| false).is_empty());
        assert!(tracker.connect(&ann, &phone, 3, 3), "4 is still due");
    }

    /// The world around a tracker: what was posted, what the store has marked, what each socket got.
    struct World {
        tracker: Tracker,
        posted: u64,
        marks: BTreeMap<String, u64>,
        readers: BTreeSet<Device>,
        live: BTreeMap<u64, Device>,
        serial: u64,
        /// By device, in the order of sending, with the socket.
        got: BTreeMap<Device, Vec<(u64, u64)>>,
    }

    impl World {
        fn read(&mut self, device: &Device, limit: u64) {
            let Some(next) = self.tracker.next_page(&user(), device) else {
                self.readers.remove(device);
                return;
            };
            let after = next
                .after
                .unwrap_or_else(|| self.marks.get(&**device).copied().unwrap_or_default());
            let upto = self.posted.min(after + limit);
            let page = page(after + 1, upto, upto < self.posted);
            let got = self.got.entry(Arc::clone(device)).or_default();
            let goes_on = self.tracker.give(&user(), device, &page, |seat, frame| {
                got.push((*seat, *frame));
                true
            });
            if !goes_on {
                self.readers.remove(device);
            }
        }

        fn step(&mut self, action: u8, which: usize, limit: u64) {
            let device = device(["", "phone", "tablet"][which]);
            match action {
                0 | 1 => {
                    self.serial += 1;
                    if self.tracker.connect(&user(), &device, self.serial, self.serial) {
                        assert!(self.readers.insert(Arc::clone(&device)), "two readers");
                    }
                    self.live.insert(self.serial, device);
                }
                2 => {
                    let serial = self.live.iter().find(|(_, on)| **on == device).map(|(s, _)| *s);
                    if let Some(serial) = serial {
                        self.live.remove(&serial);
                        self.tracker.disconnect(&user(), &device, serial);
                    }
                }
                3 | 4 => {
                    self.posted += 1 + u64::from(action == 4);
                    // Announcements of posts that were made at once may come in any order.
                    for seq in (self.posted - u64::from(action == 4)..=self.posted).rev() {
                        self.announce(seq);
                    }
                }
                5 if self.readers.contains(&device) => self.read(&device, limit),
                6 => {
                    let marks = self.tracker.take_unsaved(2);
                    for (_, device, seq) in &marks {
                        self.marks.insert(device.to_string(), *seq);
                    }
                    self.tracker.saved(&marks);
                }
                7 => {
                    let marks = self.tracker.take_unsaved(2);
                    self.tracker.failed(marks);
                }
                _ => {}
            }
        }

        fn announce(&mut self, seq: u64) {
            let live = &self.live;
            let got = &mut self.got;
            let behind = self.tracker.announce(&user(), seq, |seat| {
                let device = live.get(seat).expect("a socket that is gone");
                got.entry(Arc::clone(device)).or_default().push((*seat, seq));
                true
            });
            for device in behind {
                assert!(self.readers.insert(device), "two readers");
            }
        }
    }

    proptest! {
        #[test]
        fn each_device_is_given_each_number_once_and_in_order(
            steps in prop::collection::vec((0u8..8, 0usize..3, 1u64..4), 1..120)
        ) {
            let mut world = World {
                tracker: Tracker::new(100),
                posted: 0,
                marks: BTreeMap::new(),
                readers: BTreeSet::new(),
                live: BTreeMap::new(),
                serial: 0,
                got: BTreeMap::new(),
            };
            for (action, which, limit) in steps {
                world.step(action, which, limit);
            }
            while let Some(device) = world.readers.first().cloned() {
                world.read(&device, 3);
            }
            for (device, got) in &world.got {
                // All sockets that were there got the same number one after the other.
                let mut numbers: Vec<_> = got.iter().map(|(_, seq)| *seq).collect();
                numbers.dedup();
                prop_assert_eq!(&numbers, &(1..=numbers.len() as u64).collect::<Vec<_>>(), "{}", device);
                let seen: BTreeSet<_> = got.iter().collect();
                prop_assert_eq!(seen.len(), got.len(), "the same socket twice");
            }
            for device in world.live.values() {
                let last = world.got.get(device).and_then(|got| got.last()).map_or(0, |(_, seq)| *seq);
                prop_assert_eq!(last, world.posted, "a live device has everything");
            }
            // Once all is saved and everybody is gone, nothing is left.
            for (serial, device) in std::mem::take(&mut world.live) {
                world.tracker.disconnect(&user(), &device, serial);
            }
            while world.tracker.unsaved() > 0 {
                world.step(6, 0, 1);
            }
            prop_assert!(world.tracker.users.is_empty());
        }
    }
}
