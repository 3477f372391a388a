use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

type DeliveryMark = u32;
type Tracker = NotificationTracker<u64, DeliveryMark>;

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

/// The answer of a socket that takes a frame.
const TAKEN: Option<DeliveryMark> = Some(0);

#[test]
fn the_next_number_is_sent_at_once_and_a_later_one_fetched() {
    let (ann, phone) = (user(), device("phone"));
    let mut tracker = Tracker::new(10);
    assert!(tracker.connect(&ann, &phone, 1, 1));
    assert!(!tracker.connect(&ann, &phone, 2, 2), "one reader a device");
    // Posted while the reader runs: it goes on until it has this one, too.
    assert!(tracker.announce(&ann, 4, |_| panic!("not yet")).is_empty());
    let next = tracker.next_page(&ann, &phone).unwrap();
    assert_eq!(
        (next.after, next.socket),
        (None, 2),
        "the newest socket sets the pace"
    );
    let mut given = Vec::new();
    let mut send = |socket: &u64, frame: &u64| {
        given.push((*socket, *frame));
        TAKEN
    };
    assert!(tracker.deliver_page(&ann, &phone, &page(3, 3, false), &mut send));
    assert_eq!(tracker.next_page(&ann, &phone).unwrap().after, Some(3));
    assert!(!tracker.deliver_page(&ann, &phone, &page(4, 4, false), &mut send));
    assert_eq!(given, [(1, 3), (2, 3), (1, 4), (2, 4)]);
    let mut reached = Vec::new();
    let mut send = |socket: &u64| {
        reached.push(*socket);
        TAKEN
    };
    assert!(tracker.announce(&ann, 5, &mut send).is_empty());
    assert_eq!(reached, [1, 2]);
    assert!(tracker.announce(&ann, 5, |_| panic!("twice")).is_empty());
    assert_eq!(tracker.announce(&ann, 7, |_| panic!("6 comes first")), [phone]);
}

#[test]
fn a_device_stays_until_its_mark_is_saved() {
    let (ann, phone) = (user(), device("phone"));
    let mut tracker = Tracker::new(10);
    assert!(tracker.connect(&ann, &phone, 1, 1));
    assert!(!tracker.deliver_page(&ann, &phone, &page(1, 1, false), |_, _| TAKEN));
    assert!(!tracker.disconnect(&ann, &phone, 1, |_, _| true));
    assert!(
        !tracker.connect(&ann, &phone, 2, 2),
        "the tracker knows the arrived number before the store does"
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
fn the_number_of_unsaved_marks_is_bounded() {
    let ann = user();
    let mut tracker = Tracker::new(2);
    for serial in 0..5u64 {
        let device = device(&serial.to_string());
        assert!(tracker.connect(&ann, &device, serial, serial));
        assert!(!tracker.deliver_page(&ann, &device, &page(1, 1, false), |_, _| TAKEN));
        assert!(!tracker.disconnect(&ann, &device, serial, |_, _| true));
    }
    assert_eq!(tracker.unsaved(), 2);
    assert_eq!(tracker.users.get(&ann).map(Vec::len), Some(2));
}

#[test]
fn a_frame_that_no_socket_took_is_fetched_for_the_next_one() {
    let (ann, phone) = (user(), device("phone"));
    let mut tracker = Tracker::new(10);
    assert!(tracker.connect(&ann, &phone, 1, 1));
    let one = |_: &u64, frame: &u64| (*frame < 2).then_some(0);
    assert!(!tracker.deliver_page(&ann, &phone, &page(1, 3, true), one));
    assert!(tracker.connect(&ann, &phone, 2, 2));
    assert_eq!(tracker.next_page(&ann, &phone).unwrap().after, Some(1));
    assert!(!tracker.deliver_page(&ann, &phone, &page(2, 3, false), |_, _| TAKEN));
    assert!(tracker.announce(&ann, 4, |_| None).is_empty());
    assert!(tracker.connect(&ann, &phone, 3, 3), "4 is still due");
}

#[test]
fn frames_of_a_lost_connection_go_to_the_other_sockets_of_the_device_once() {
    let (ann, phone) = (user(), device("phone"));
    let mut tracker = Tracker::new(10);
    assert!(tracker.connect(&ann, &phone, 1, 1));
    assert!(!tracker.deliver_page(&ann, &phone, &page(1, 5, false), |_, seq| {
        DeliveryMark::try_from(*seq).ok()
    }));
    // The client is back over another connection, while the first one is dead and not closed yet.
    assert!(!tracker.connect(&ann, &phone, 2, 2));
    assert!(tracker.announce(&ann, 6, |_| Some(6)).is_empty());
    assert!(
        tracker.disconnect(&ann, &phone, 1, |socket, mark| *socket == 1 && mark <= 2),
        "1 and 2 have arrived; 3, 4 and 5 may not"
    );
    assert_eq!(tracker.take_unsaved(9), [(ann.clone(), phone.clone(), 2)]);
    assert_eq!(tracker.next_page(&ann, &phone).unwrap().after, Some(2));
    let mut got = Vec::new();
    let send = |_: &u64, seq: &u64| {
        got.push(*seq);
        TAKEN
    };
    assert!(!tracker.deliver_page(&ann, &phone, &page(3, 6, false), send));
    assert_eq!(got, [3, 4, 5]);
    tracker.check_arrivals(&ann, &phone, |_, _| true);
    assert_eq!(tracker.take_unsaved(9), [(ann, phone, 6)]);
}

/// The surroundings of a tracker: the posts, the marks in the store, and the frames that each socket got.
struct World {
    tracker: Tracker,
    posted: u64,
    marks: BTreeMap<Device, u64>,
    /// Readers that wait for a page, and readers that have not requested one.
    readers: BTreeMap<Device, Option<Page<u64>>>,
    live: BTreeMap<u64, Device>,
    serial: u64,
    /// The frames by socket, in the order of sending, and how many of them have arrived.
    got: BTreeMap<u64, Vec<u64>>,
    arrived: BTreeMap<u64, usize>,
    /// By device: the frames that arrived on sockets that are gone.
    kept: BTreeMap<Device, BTreeSet<u64>>,
}

/// Whether a frame has arrived. Its mark is its index among the frames of its socket.
fn arrived(counts: &BTreeMap<u64, usize>) -> impl Fn(&u64, DeliveryMark) -> bool {
    |socket, mark| (mark as usize) < counts.get(socket).copied().unwrap_or_default()
}

impl World {
    fn start(&mut self, device: &Device) {
        assert!(
            self.readers.insert(Arc::clone(device), None).is_none(),
            "two readers"
        );
    }

    /// A reader requests a page, or sends the one that has come.
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
        let goes_on = self
            .tracker
            .deliver_page(&user(), device, &page_here, |socket, frame| {
                let got = got.entry(*socket).or_default();
                got.push(*frame);
                DeliveryMark::try_from(got.len() - 1).ok()
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
                // Announcements of simultaneous posts may come in any order.
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
                // Some frames in flight arrive, on one socket.
                if let Some(serial) = first {
                    let sent = self.got.get(&serial).map_or(0, Vec::len);
                    let count = self.arrived.entry(serial).or_default();
                    *count = sent.min(*count + usize::try_from(limit).unwrap());
                }
                self.tracker
                    .check_arrivals(&user(), &device, arrived(&self.arrived));
            }
        }
    }

    fn announce(&mut self, seq: u64) {
        let (live, got) = (&self.live, &mut self.got);
        let behind = self.tracker.announce(&user(), seq, |socket| {
            assert!(live.contains_key(socket), "a socket that is gone");
            let got = got.entry(*socket).or_default();
            got.push(seq);
            DeliveryMark::try_from(got.len() - 1).ok()
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
            // All numbers up to a saved mark have arrived on a socket of the device.
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
        // When all frames have arrived, all marks are saved and all sockets are gone, nothing is left.
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
        prop_assert!(world.tracker.in_flight().is_empty());
    }
}
