//! What each connected device was given of its user's notifications, as a value: no store, no socket, no clock.
//!
//! A user's notifications are numbered from 1. The laws: each device is given each number until it is known that one of
//! its sockets has got it, so none is lost with a connection; no socket is given a number twice; and what is new goes
//! out at once if it is the next number for the device. If something is missing before it, one reader per device
//! fetches it from the store, however many ask for it.
//!
//! What a connection carried when it broke may or may not have arrived. It is given again, under the same id.

use std::{collections::HashMap, ops::RangeInclusive, sync::Arc};

use indexmap::IndexSet;

use crate::presence_tracker::UserId;

/// A device's name among its user's; the empty name stands for all sockets that gave none.
pub(crate) type Device = Arc<str>;

/// Goes with what is sent on a socket, to ask later whether it has arrived.
pub(crate) type SentMark = u32;

/// The most numbers of a device that may be on their way. Beyond, the oldest counts as arrived: about so many are kept
/// for a user at all.
const MOST_OPEN: usize = 1_000;

/// The devices of the users that are connected. `S` is where a socket's frames go.
#[derive(Debug)]
pub(crate) struct NotificationTracker<S> {
    users: HashMap<UserId, Vec<Line<S>>>,
    /// Devices whose mark the store does not have yet, in the order in which they came to be.
    unsaved: IndexSet<(UserId, Device)>,
    /// Devices with something on its way.
    open: IndexSet<(UserId, Device)>,
    /// The most devices that may stay after their last socket, just to have their mark saved.
    most_unsaved: usize,
}

#[derive(Debug)]
struct Line<S> {
    device: Device,
    seats: Vec<Seat<S>>,
    /// All up to here was sent; `None` until the store was asked.
    given: Option<u64>,
    /// What was sent and is not known to have arrived anywhere, by number.
    open: Vec<Open>,
    /// The store's mark, as far as it is known here.
    saved: u64,
    /// The newest number heard of.
    head: u64,
    /// A reader is at work.
    reading: bool,
    /// Something that was given is to be given again; a page that a reader fetches now may lie beyond it.
    open_again: bool,
}

/// A socket of a device.
#[derive(Debug)]
struct Seat<S> {
    /// The serial of its session.
    serial: u64,
    to: S,
    /// The numbers it was sent: stretches that do not touch, ascending. Nearly always one.
    sent: Vec<RangeInclusive<u64>>,
}

/// A number on its way over one socket.
#[derive(Debug, Clone, Copy)]
struct Open {
    seq: u64,
    serial: u64,
    mark: SentMark,
}

impl<S> Seat<S> {
    fn has(&self, seq: u64) -> bool {
        self.sent.iter().any(|stretch| stretch.contains(&seq))
    }

    fn note(&mut self, seq: u64) {
        let at = self.sent.partition_point(|stretch| *stretch.end() < seq);
        let from = match at.checked_sub(1).and_then(|before| self.sent.get(before)) {
            Some(before) if before.end() + 1 == seq => *self.sent.remove(at - 1).start(),
            _ => seq,
        };
        let at = self.sent.partition_point(|stretch| *stretch.end() < seq);
        let upto = match self.sent.get(at) {
            Some(after) if *after.start() == seq + 1 => *self.sent.remove(at).end(),
            _ => seq,
        };
        self.sent.insert(at, from..=upto);
    }
}

impl<S> Line<S> {
    /// All up to here has arrived.
    fn arrived(&self) -> Option<u64> {
        let first_open = self.open.first().map(|open| open.seq - 1);
        self.given
            .map(|given| first_open.map_or(given, |open| open.min(given)))
    }

    fn is_unsaved(&self) -> bool {
        self.arrived().is_some_and(|arrived| arrived > self.saved)
    }

    /// Sends a number to every socket that was not sent it yet. False if nobody took it, or has it.
    fn send(&mut self, seq: u64, send: &mut impl FnMut(&S) -> Option<SentMark>) -> bool {
        let mut taken = false;
        for seat in &mut self.seats {
            if seat.has(seq) {
                taken = true;
            } else if let Some(mark) = send(&seat.to) {
                taken = true;
                seat.note(seq);
                let serial = seat.serial;
                let at = self.open.partition_point(|open| open.seq <= seq);
                self.open.insert(at, Open { seq, serial, mark });
            }
        }
        let surplus = self.open.len().saturating_sub(MOST_OPEN);
        self.open.drain(..surplus);
        taken
    }

    /// Forgets what has arrived.
    fn look(&mut self, has_arrived: &impl Fn(&S, SentMark) -> bool) {
        let Self { seats, open, .. } = self;
        let arrived = |open: &&Open| {
            let seat = seats.iter().find(|seat| seat.serial == open.serial);
            seat.is_some_and(|seat| has_arrived(&seat.to, open.mark))
        };
        let arrived: Vec<u64> = open.iter().filter(arrived).map(|open| open.seq).collect();
        open.retain(|open| arrived.binary_search(&open.seq).is_err());
    }

    /// True if a reader has to be started.
    fn starts_reading(&mut self) -> bool {
        let behind = self.given.is_none_or(|given| given < self.head);
        behind && !std::mem::replace(&mut self.reading, true)
    }

    /// A socket is gone. What only it carried goes out again: to the others, or to the next.
    fn lose(&mut self, serial: u64) {
        self.seats.retain(|seat| seat.serial != serial);
        let (lost, open): (Vec<_>, Vec<_>) = self.open.drain(..).partition(|open| open.serial == serial);
        self.open = open;
        self.head = lost.last().map_or(self.head, |lost| self.head.max(lost.seq));
        let carried = |lost: &Open| self.open.binary_search_by_key(&lost.seq, |open| open.seq).is_ok();
        if let Some(lost) = lost.iter().find(|lost| !carried(lost)) {
            self.given = self.given.map(|given| given.min(lost.seq - 1));
            self.open_again = self.reading;
        }
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
            open: IndexSet::new(),
            most_unsaved,
        }
    }

    /// A socket comes. True if a reader has to be started for its device.
    #[must_use]
    pub(crate) fn connect(&mut self, user: &UserId, device: &Device, serial: u64, to: S) -> bool {
        let seat = Seat {
            serial,
            to,
            sent: Vec::new(),
        };
        let lines = self.users.entry(Arc::clone(user)).or_default();
        let Some(line) = lines.iter_mut().find(|line| line.device == *device) else {
            // Most users have one device, and most devices one socket: no place for more than there are.
            lines.reserve_exact(1);
            lines.push(Line {
                device: Arc::clone(device),
                seats: vec![seat],
                given: None,
                open: Vec::new(),
                saved: 0,
                head: 0,
                reading: true,
                open_again: false,
            });
            return true;
        };
        line.seats.reserve_exact(1);
        line.seats.push(seat);
        line.starts_reading()
    }

    /// A socket is gone. What it carried and is not known to have arrived goes out again. True if a reader has to be
    /// started for that. A device without sockets is forgotten once the store has its mark.
    #[must_use]
    pub(crate) fn disconnect(
        &mut self,
        user: &UserId,
        device: &Device,
        serial: u64,
        has_arrived: impl Fn(&S, SentMark) -> bool,
    ) -> bool {
        self.look(user, device, has_arrived);
        let Some(line) = self.line(user, device) else {
            return false;
        };
        line.lose(serial);
        let starts = !line.seats.is_empty() && line.starts_reading();
        self.tidy(user, device);
        starts
    }

    /// Looks at what of a device's has arrived.
    pub(crate) fn look(
        &mut self,
        user: &UserId,
        device: &Device,
        has_arrived: impl Fn(&S, SentMark) -> bool,
    ) {
        let Some(line) = self.line(user, device) else {
            return;
        };
        line.look(&has_arrived);
        self.note(user, device);
    }

    /// The devices with something on its way.
    pub(crate) fn open(&self) -> Vec<(UserId, Device)> {
        self.open.iter().cloned().collect()
    }

    /// The notification `seq` of the user was posted. It goes out where it is the next one; given back are the devices
    /// that a reader has to be started for.
    #[must_use]
    pub(crate) fn announce(
        &mut self,
        user: &UserId,
        seq: u64,
        mut send: impl FnMut(&S) -> Option<SentMark>,
    ) -> Vec<Device> {
        let (mut behind, mut reached) = (Vec::new(), Vec::new());
        for line in self.users.get_mut(user).into_iter().flatten() {
            line.head = line.head.max(seq);
            if line.reading || line.seats.is_empty() || line.given.is_some_and(|given| given >= seq) {
                continue;
            }
            if line.given.map(|given| given + 1) != Some(seq) {
                line.reading = true;
                behind.push(Arc::clone(&line.device));
            } else if line.send(seq, &mut send) {
                line.given = Some(seq);
                reached.push(Arc::clone(&line.device));
            }
        }
        for device in reached {
            self.note(user, &device);
        }
        behind
    }

    /// What the device's reader has to fetch; `None` ends it, since nobody is there any more.
    pub(crate) fn next_page(&mut self, user: &UserId, device: &Device) -> Option<NextPage<S>> {
        let line = self.line(user, device)?;
        let Some(seat) = line.seats.last() else {
            line.reading = false;
            self.tidy(user, device);
            return None;
        };
        Some(NextPage {
            after: line.given,
            seat: seat.to.clone(),
        })
    }

    /// The device's reader has fetched a page; it goes out. True if there is more to fetch, else the reader ends.
    #[must_use]
    pub(crate) fn give<F>(
        &mut self,
        user: &UserId,
        device: &Device,
        page: &Page<F>,
        mut send: impl FnMut(&S, &F) -> Option<SentMark>,
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
        // A connection was lost meanwhile, with what comes before this page: that is to be fetched first.
        let early = start > given && line.open_again;
        let mut taken = true;
        for (seq, frame) in page.frames.iter().filter(|_| !early) {
            taken = line.send(*seq, &mut |seat| send(seat, frame));
            if !taken {
                break;
            }
            given = given.max(*seq);
        }
        if taken && !early {
            given = given.max(page.upto);
        }
        line.open_again = false;
        line.given = Some(given);
        // If nobody took it, all sockets are at their end; the next one starts a reader.
        let goes_on = taken && (early || page.more || line.head > given);
        line.reading = goes_on;
        if !taken {
            line.head = line.head.max(given + 1);
        }
        self.note(user, device);
        if !goes_on {
            self.tidy(user, device);
        }
        goes_on
    }

    /// Takes up to `most` marks that the store shall be told. Each is answered by [`Self::saved`] or [`Self::failed`].
    pub(crate) fn take_unsaved(&mut self, most: usize) -> Vec<(UserId, Device, u64)> {
        let taken: Vec<_> = self.unsaved.drain(..most.min(self.unsaved.len())).collect();
        let mark = |(user, device): (UserId, Device)| {
            let arrived = self.line(&user, &device)?.arrived()?;
            Some((user, device, arrived))
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
        let seats = lines.flat_map(|line| &line.seats);
        for seat in seats.filter(|seat| seat.serial != except) {
            send(&seat.to);
        }
    }

    /// Notes whether a device has something on its way, or that has arrived and is to be saved.
    fn note(&mut self, user: &UserId, device: &Device) {
        let Some(line) = self.line(user, device) else {
            return;
        };
        let (open, unsaved) = (!line.open.is_empty(), line.is_unsaved());
        let who = (Arc::clone(user), Arc::clone(device));
        if unsaved {
            self.unsaved.insert(who.clone());
        }
        if open {
            self.open.insert(who);
        } else {
            self.open.swap_remove(&who);
        }
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
            let who = (Arc::clone(user), Arc::clone(device));
            self.unsaved.swap_remove(&who);
            self.open.swap_remove(&who);
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
}
