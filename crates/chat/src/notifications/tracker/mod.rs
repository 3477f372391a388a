//! What each connected device was given of its user's notifications, as a value: no store, no socket, no clock.
//!
//! A user's notifications are numbered from 1. The laws: each device is given each number until it is known that one of
//! its sockets has got it, so none is lost with a connection; no socket is given a number twice; and what is new goes
//! out at once if it is the next number for the device. If something is missing before it, one reader per device
//! fetches it from the store, however many ask for it.
//!
//! What a connection carried when it broke may or may not have arrived. It is given again, under the same id.

mod device;

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexSet;

use self::device::{Line, Seat};
use crate::types::UserId;

/// A device's name among its user's; the empty name stands for all sockets that gave none.
pub(crate) type Device = Arc<str>;

/// The devices of the users that are connected. `S` is where a socket's frames go, `M` a mark by which to ask
/// there later whether one has arrived.
#[derive(Debug)]
pub(crate) struct NotificationTracker<S, M> {
    users: HashMap<UserId, Vec<Line<S, M>>>,
    /// Devices whose mark the store does not have yet, in the order in which they came to be.
    unsaved: IndexSet<(UserId, Device)>,
    /// Devices with something on its way.
    open: IndexSet<(UserId, Device)>,
    /// The most devices that may stay after their last socket, just to have their mark saved.
    most_unsaved: usize,
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

impl<S: Clone, M: Copy> NotificationTracker<S, M> {
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
        has_arrived: impl Fn(&S, M) -> bool,
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
    pub(crate) fn look(&mut self, user: &UserId, device: &Device, has_arrived: impl Fn(&S, M) -> bool) {
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
        mut send: impl FnMut(&S) -> Option<M>,
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
        mut send: impl FnMut(&S, &F) -> Option<M>,
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

    fn line(&mut self, user: &UserId, device: &Device) -> Option<&mut Line<S, M>> {
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
mod tests;
