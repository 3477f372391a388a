use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

type SentMark = u32;
type Tracker = NotificationTracker<u64, SentMark>;

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

/// What a socket answers that takes everything.
const TAKEN: Option<SentMark> = Some(0);

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
        TAKEN
    };
    assert!(tracker.give(&ann, &phone, &page(3, 3, false), &mut send));
    assert_eq!(tracker.next_page(&ann, &phone).unwrap().after, Some(3));
    assert!(!tracker.give(&ann, &phone, &page(4, 4, false), &mut send));
    assert_eq!(given, [(1, 3), (2, 3), (1, 4), (2, 4)]);
    let mut live = Vec::new();
    let mut send = |seat: &u64| {
        live.push(*seat);
        TAKEN
    };
    assert!(tracker.announce(&ann, 5, &mut send).is_empty());
    assert_eq!(live, [1, 2]);
    assert!(tracker.announce(&ann, 5, |_| panic!("twice")).is_empty());
    assert_eq!(tracker.announce(&ann, 7, |_| panic!("6 comes first")), [phone]);
}

#[test]
fn a_device_stays_until_its_mark_is_saved() {
    let (ann, phone) = (user(), device("phone"));
    let mut tracker = Tracker::new(10);
    assert!(tracker.connect(&ann, &phone, 1, 1));
    assert!(!tracker.give(&ann, &phone, &page(1, 1, false), |_, _| TAKEN));
    assert!(!tracker.disconnect(&ann, &phone, 1, |_, _| true));
    assert!(
        !tracker.connect(&ann, &phone, 2, 2),
        "what has arrived is known though the store does not know it yet"
    );
    assert!(!tracker.disconnect(&ann, &phone, 2, |_, _| true));
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
        assert!(!tracker.give(&ann, &device, &page(1, 1, false), |_, _| TAKEN));
        assert!(!tracker.disconnect(&ann, &device, serial, |_, _| true));
    }
    assert_eq!(tracker.unsaved(), 2);
    assert_eq!(tracker.users.get(&ann).map(Vec::len), Some(2));
}

#[test]
fn what_nobody_took_is_fetched_by_the_next_socket() {
    let (ann, phone) = (user(), device("phone"));
    let mut tracker = Tracker::new(10);
    assert!(tracker.connect(&ann, &phone, 1, 1));
    let one = |_: &u64, frame: &u64| (*frame < 2).then_some(0);
    assert!(!tracker.give(&ann, &phone, &page(1, 3, true), one));
    assert!(tracker.connect(&ann, &phone, 2, 2));
    assert_eq!(tracker.next_page(&ann, &phone).unwrap().after, Some(1));
    assert!(!tracker.give(&ann, &phone, &page(2, 3, false), |_, _| TAKEN));
    assert!(tracker.announce(&ann, 4, |_| None).is_empty());
    assert!(tracker.connect(&ann, &phone, 3, 3), "4 is still due");
}

#[test]
fn what_a_lost_connection_carried_goes_to_the_devices_others_and_to_no_socket_twice() {
    let (ann, phone) = (user(), device("phone"));
    let mut tracker = Tracker::new(10);
    assert!(tracker.connect(&ann, &phone, 1, 1));
    assert!(!tracker.give(&ann, &phone, &page(1, 5, false), |_, seq| {
        SentMark::try_from(*seq).ok()
    }));
    // Back over another way, while the first hangs on a line that is dead.
    assert!(!tracker.connect(&ann, &phone, 2, 2));
    assert!(tracker.announce(&ann, 6, |_| Some(6)).is_empty());
    assert!(
        tracker.disconnect(&ann, &phone, 1, |seat, mark| *seat == 1 && mark <= 2),
        "1 and 2 have arrived; 3, 4 and 5 may not"
    );
    assert_eq!(tracker.take_unsaved(9), [(ann.clone(), phone.clone(), 2)]);
    assert_eq!(tracker.next_page(&ann, &phone).unwrap().after, Some(2));
    let mut got = Vec::new();
    let send = |_: &u64, seq: &u64| {
        got.push(*seq);
        TAKEN
    };
    assert!(!tracker.give(&ann, &phone, &page(3, 6, false), send));
    assert_eq!(got, [3, 4, 5]);
    tracker.look(&ann, &phone, |_, _| true);
    assert_eq!(tracker.take_unsaved(9), [(ann, phone, 6)]);
}

/// The world around a tracker: what was posted, what the store has marked, what each socket got.
struct World {
    tracker: Tracker,
    posted: u64,
    marks: BTreeMap<Device, u64>,
    /// Pages that were asked for and have not come yet, and readers that have not asked.
    readers: BTreeMap<Device, Option<Page<u64>>>,
    live: BTreeMap<u64, Device>,
    serial: u64,
    /// By socket, in the order of sending, and how many of that have arrived.
    got: BTreeMap<u64, Vec<u64>>,
    arrived: BTreeMap<u64, usize>,
    /// By device: what arrived on sockets that are gone.
    kept: BTreeMap<Device, BTreeSet<u64>>,
}

/// Whether the frame with this mark, its place among those sent on its socket, is among those that arrived.
fn arrived(counts: &BTreeMap<u64, usize>) -> impl Fn(&u64, SentMark) -> bool {
    |seat, mark| (mark as usize) < counts.get(seat).copied().unwrap_or_default()
}

impl World {
    fn start(&mut self, device: &Device) {
        assert!(
            self.readers.insert(Arc::clone(device), None).is_none(),
            "two readers"
        );
    }

    /// A reader asks for a page, or gives out the one that has come.
    fn read(&mut self, device: &Device, limit: u64) {
        let Some(fetched) = self.readers.get_mut(device).map(Option::take) else {
            return;
        };
        let Some(page_here) = fetched else {
            let Some(next) = self.tracker.next_page(&user(), device) else {
                self.readers.remove(device);
                return;
            };
            let marked = self.marks.get(device).copied().unwrap_or_default();
            let after = next.after.unwrap_or(marked);
            let upto = self.posted.min(after + limit);
            self.readers.insert(
                Arc::clone(device),
                Some(page(after + 1, upto, upto < self.posted)),
            );
            return;
        };
        let got = &mut self.got;
        let goes_on = self.tracker.give(&user(), device, &page_here, |seat, frame| {
            let got = got.entry(*seat).or_default();
            got.push(*frame);
            SentMark::try_from(got.len() - 1).ok()
        });
        if !goes_on {
            self.readers.remove(device);
        }
    }

    fn disconnect(&mut self, serial: u64) {
        let Some(device) = self.live.remove(&serial) else {
            return;
        };
        let count = self.arrived.get(&serial).copied().unwrap_or_default();
        let got = self.got.get(&serial).cloned().unwrap_or_default();
        self.kept
            .entry(Arc::clone(&device))
            .or_default()
            .extend(got.into_iter().take(count));
        if self
            .tracker
            .disconnect(&user(), &device, serial, arrived(&self.arrived))
        {
            self.start(&device);
        }
    }

    fn step(&mut self, action: u8, which: usize, limit: u64) {
        let device = device(["", "phone", "tablet"][which]);
        let first = self
            .live
            .iter()
            .find(|(_, on)| **on == device)
            .map(|(serial, _)| *serial);
        match action {
            0 | 1 => {
                self.serial += 1;
                if self.tracker.connect(&user(), &device, self.serial, self.serial) {
                    self.start(&device);
                }
                self.live.insert(self.serial, device);
            }
            2 => first.into_iter().for_each(|serial| self.disconnect(serial)),
            3 | 4 => {
                self.posted += 1 + u64::from(action == 4);
                // Announcements of posts that were made at once may come in any order.
                for seq in (self.posted - u64::from(action == 4)..=self.posted).rev() {
                    self.announce(seq);
                }
            }
            5 => self.read(&device, limit),
            6 => {
                let marks = self.tracker.take_unsaved(2);
                for (_, device, seq) in &marks {
                    let before = self.marks.insert(Arc::clone(device), *seq);
                    assert!(before.is_none_or(|before| before <= *seq), "a mark went back");
                }
                self.tracker.saved(&marks);
            }
            7 => {
                let marks = self.tracker.take_unsaved(2);
                self.tracker.failed(marks);
            }
            _ => {
                // Some of what is on its way arrives, on one socket.
                if let Some(serial) = first {
                    let sent = self.got.get(&serial).map_or(0, Vec::len);
                    let count = self.arrived.entry(serial).or_default();
                    *count = sent.min(*count + usize::try_from(limit).unwrap());
                }
                self.tracker.look(&user(), &device, arrived(&self.arrived));
            }
        }
    }

    fn announce(&mut self, seq: u64) {
        let (live, got) = (&self.live, &mut self.got);
        let behind = self.tracker.announce(&user(), seq, |seat| {
            assert!(live.contains_key(seat), "a socket that is gone");
            let got = got.entry(*seat).or_default();
            got.push(seq);
            SentMark::try_from(got.len() - 1).ok()
        });
        for device in behind {
            self.start(&device);
        }
    }
}

proptest! {
    #[test]
    fn each_device_gets_every_number_and_no_socket_gets_one_twice(
        steps in prop::collection::vec((0u8..9, 0usize..3, 1u64..4), 1..160)
    ) {
        let mut world = World {
            tracker: Tracker::new(100),
            posted: 0,
            marks: BTreeMap::new(),
            readers: BTreeMap::new(),
            live: BTreeMap::new(),
            serial: 0,
            got: BTreeMap::new(),
            arrived: BTreeMap::new(),
            kept: BTreeMap::new(),
        };
        for (action, which, limit) in steps {
            world.step(action, which, limit);
            // What the store is told has arrived on some socket of the device.
            for (device, mark) in &world.marks {
                let mut had = world.kept.get(device).cloned().unwrap_or_default();
                for serial in world.live.iter().filter(|(_, on)| *on == device).map(|(serial, _)| serial) {
                    let got = world.got.get(serial).into_iter().flatten();
                    had.extend(got.take(world.arrived.get(serial).copied().unwrap_or_default()));
                }
                prop_assert!((1..=*mark).all(|seq| had.contains(&seq)), "{device}: {mark} of {had:?}");
            }
        }
        while let Some(device) = world.readers.keys().next().cloned() {
            world.read(&device, 3);
        }
        for got in world.got.values() {
            let seen: BTreeSet<_> = got.iter().collect();
            prop_assert_eq!(seen.len(), got.len(), "a socket was given one twice");
        }
        for device in world.live.values() {
            let mut had = world.kept.get(device).cloned().unwrap_or_default();
            for serial in world.live.iter().filter(|(_, on)| *on == device).map(|(serial, _)| serial) {
                had.extend(world.got.get(serial).into_iter().flatten());
            }
            prop_assert!(had.iter().eq(&(1..=world.posted).collect::<Vec<_>>()), "{}: {:?}", device, had);
        }
        // Once all has arrived and is saved, and everybody is gone, nothing is left.
        for serial in world.live.keys().copied().collect::<Vec<_>>() {
            world.arrived.insert(serial, usize::MAX);
        }
        for serial in world.live.keys().copied().collect::<Vec<_>>() {
            world.disconnect(serial);
        }
        while let Some(device) = world.readers.keys().next().cloned() {
            world.read(&device, 3);
        }
        while world.tracker.unsaved() > 0 {
            world.step(6, 0, 1);
        }
        prop_assert!(world.tracker.users.is_empty());
        prop_assert!(world.tracker.open().is_empty());
    }
}
