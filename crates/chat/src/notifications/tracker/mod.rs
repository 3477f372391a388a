//! Which of a user's notifications each connected device has got, as a value: no store, no socket, no clock.
//!
//! A user's notifications are numbered from 1. Each device is sent each number until one of its sockets has
//! got it, so none is lost with a connection. No socket gets a number twice. A new notification goes out at
//! once if it is the next one for the device. If others are missing before it, one reader per device fetches
//! them from the store.
//!
//! A notification that was in flight when a connection broke may have arrived. It is sent again, under the
//! same id.

mod device;

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexSet;

use self::device::{DeviceSocket, DeviceState};
use crate::types::UserId;

/// A device's name among those of its user. The empty name stands for all sockets without one.
pub(crate) type Device = Arc<str>;

/// The devices of connected users. `S` is where the frames of a socket go, `M` a mark that tells later
/// whether a frame has arrived.
#[derive(Debug)]
pub(crate) struct NotificationTracker<S, M> {
    users: HashMap<UserId, Vec<DeviceState<S, M>>>,
    /// Devices whose mark the store does not have yet, in the order in which they came.
    unsaved: IndexSet<(UserId, Device)>,
    /// Devices with notifications in flight.
    in_flight: IndexSet<(UserId, Device)>,
    /// The most devices that stay after their last socket to have their mark saved.
    max_unsaved: usize,
}

/// The next page that a reader fetches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NextPage<S> {
    /// The device was sent all numbers up to here; `None`: up to the mark in the store.
    pub(crate) after: Option<u64>,
    /// The newest socket. The page waits until this one has room for it. An older one may hang on a
    /// connection whose loss is not noticed yet.
    pub(crate) socket: S,
}

/// Notifications of a user from the store, ascending.
#[derive(Debug)]
pub(crate) struct Page<F> {
    pub(crate) frames: Vec<(u64, F)>,
    /// The last number that the page covers.
    pub(crate) upto: u64,
    pub(crate) more: bool,
}

impl<S: Clone, M: Copy> NotificationTracker<S, M> {
    pub(crate) fn new(max_unsaved: usize) -> Self {
        Self {
            users: HashMap::new(),
            unsaved: IndexSet::new(),
            in_flight: IndexSet::new(),
            max_unsaved,
        }
    }

    /// A socket connects. True if the caller has to start a reader for its device.
    #[must_use]
    pub(crate) fn connect(&mut self, user: &UserId, device: &Device, serial: u64, to: S) -> bool {
        let socket = DeviceSocket {
            serial,
            to,
            sent: Vec::new(),
        };
        let devices = self.users.entry(Arc::clone(user)).or_default();
        let Some(device_state) = devices
            .iter_mut()
            .find(|device_state| device_state.device == *device)
        else {
            // Most users have one device, and most devices one socket: no capacity beyond that.
            devices.reserve_exact(1);
            devices.push(DeviceState {
                device: Arc::clone(device),
                sockets: vec![socket],
                given: None,
                in_flight: Vec::new(),
                saved: 0,
                head: 0,
                reading: true,
                resend: false,
            });
            return true;
        };
        device_state.sockets.reserve_exact(1);
        device_state.sockets.push(socket);
        device_state.starts_reading()
    }

    /// A socket is gone. Notifications that were in flight over it are sent again. True if the caller has to
    /// start a reader for that. The tracker forgets a device without sockets once the store has its mark.
    #[must_use]
    pub(crate) fn disconnect(
        &mut self,
        user: &UserId,
        device: &Device,
        serial: u64,
        has_arrived: impl Fn(&S, M) -> bool,
    ) -> bool {
        self.check_arrivals(user, device, has_arrived);
        let Some(device_state) = self.device_state(user, device) else {
            return false;
        };
        device_state.remove_socket(serial);
        let starts = !device_state.sockets.is_empty() && device_state.starts_reading();
        self.tidy(user, device);
        starts
    }

    /// Checks which notifications of a device have arrived.
    pub(crate) fn check_arrivals(
        &mut self,
        user: &UserId,
        device: &Device,
        has_arrived: impl Fn(&S, M) -> bool,
    ) {
        let Some(device_state) = self.device_state(user, device) else {
            return;
        };
        device_state.check_arrivals(&has_arrived);
        self.note(user, device);
    }

    /// The devices with notifications in flight.
    pub(crate) fn in_flight(&self) -> Vec<(UserId, Device)> {
        self.in_flight.iter().cloned().collect()
    }

    /// The notification `seq` of the user was posted. Sends it to devices for which it is the next one.
    /// Returns the devices for which the caller has to start a reader.
    #[must_use]
    pub(crate) fn announce(
        &mut self,
        user: &UserId,
        seq: u64,
        mut send: impl FnMut(&S) -> Option<M>,
    ) -> Vec<Device> {
        let (mut behind, mut reached) = (Vec::new(), Vec::new());
        for device_state in self.users.get_mut(user).into_iter().flatten() {
            device_state.head = device_state.head.max(seq);
            if device_state.reading
                || device_state.sockets.is_empty()
                || device_state.given.is_some_and(|given| given >= seq)
            {
                continue;
            }
            if device_state.given.map(|given| given + 1) != Some(seq) {
                device_state.reading = true;
                behind.push(Arc::clone(&device_state.device));
            } else if device_state.send(seq, &mut send) {
                device_state.given = Some(seq);
                reached.push(Arc::clone(&device_state.device));
            }
        }
        for device in reached {
            self.note(user, &device);
        }
        behind
    }

    /// The page that the device's reader fetches next; `None` ends the reader, since the device has no socket
    /// any more.
    pub(crate) fn next_page(&mut self, user: &UserId, device: &Device) -> Option<NextPage<S>> {
        let device_state = self.device_state(user, device)?;
        let Some(socket) = device_state.sockets.last() else {
            device_state.reading = false;
            self.tidy(user, device);
            return None;
        };
        Some(NextPage {
            after: device_state.given,
            socket: socket.to.clone(),
        })
    }

    /// Sends the page that the device's reader has fetched. True if there is more to fetch; else the reader
    /// ends.
    #[must_use]
    pub(crate) fn deliver_page<F>(
        &mut self,
        user: &UserId,
        device: &Device,
        page: &Page<F>,
        mut send: impl FnMut(&S, &F) -> Option<M>,
    ) -> bool {
        let Some(device_state) = self.device_state(user, device) else {
            return false;
        };
        // The numbers below the first one are at most the mark in the store, or no longer kept.
        let start = page
            .frames
            .first()
            .map_or(page.upto, |(seq, _)| seq.saturating_sub(1));
        let mut given = *device_state.given.get_or_insert_with(|| {
            device_state.saved = start;
            start
        });
        // A connection was lost meanwhile, with notifications before this page: they are fetched first.
        let early = start > given && device_state.resend;
        let mut taken = true;
        for (seq, frame) in page.frames.iter().filter(|_| !early) {
            taken = device_state.send(*seq, &mut |socket| send(socket, frame));
            if !taken {
                break;
            }
            given = given.max(*seq);
        }
        if taken && !early {
            given = given.max(page.upto);
        }
        device_state.resend = false;
        device_state.given = Some(given);
        // If no socket took it, all are closing: the next one starts a reader.
        let goes_on = taken && (early || page.more || device_state.head > given);
        device_state.reading = goes_on;
        if !taken {
            device_state.head = device_state.head.max(given + 1);
        }
        self.note(user, device);
        if !goes_on {
            self.tidy(user, device);
        }
        goes_on
    }

    /// Takes up to `most` marks to save. Each is followed by [`Self::saved`] or [`Self::failed`].
    pub(crate) fn take_unsaved(&mut self, most: usize) -> Vec<(UserId, Device, u64)> {
        let taken: Vec<_> = self.unsaved.drain(..most.min(self.unsaved.len())).collect();
        let mark = |(user, device): (UserId, Device)| {
            let arrived = self.device_state(&user, &device)?.arrived()?;
            Some((user, device, arrived))
        };
        taken.into_iter().filter_map(mark).collect()
    }

    /// The store has these marks.
    pub(crate) fn saved(&mut self, marks: &[(UserId, Device, u64)]) {
        for (user, device, seq) in marks {
            if let Some(device_state) = self.device_state(user, device) {
                device_state.saved = device_state.saved.max(*seq);
                self.tidy(user, device);
            }
        }
    }

    /// Saving these marks failed: they are saved later.
    pub(crate) fn failed(&mut self, marks: Vec<(UserId, Device, u64)>) {
        for (user, device, _) in marks {
            self.unsaved.insert((Arc::clone(&user), Arc::clone(&device)));
            self.tidy(&user, &device);
        }
    }

    /// The number of marks that wait to be saved.
    pub(crate) fn unsaved(&self) -> usize {
        self.unsaved.len()
    }

    /// Calls `send` for the user's sockets, except that of the session `except`.
    pub(crate) fn each_socket_except(&self, user: &UserId, except: u64, mut send: impl FnMut(&S)) {
        let devices = self.users.get(user).into_iter().flatten();
        let sockets = devices.flat_map(|device_state| &device_state.sockets);
        for socket in sockets.filter(|socket| socket.serial != except) {
            send(&socket.to);
        }
    }

    /// Updates whether a device has notifications in flight, or a mark to save.
    fn note(&mut self, user: &UserId, device: &Device) {
        let Some(device_state) = self.device_state(user, device) else {
            return;
        };
        let (in_flight, unsaved) = (!device_state.in_flight.is_empty(), device_state.is_unsaved());
        let who = (Arc::clone(user), Arc::clone(device));
        if unsaved {
            self.unsaved.insert(who.clone());
        }
        if in_flight {
            self.in_flight.insert(who);
        } else {
            self.in_flight.swap_remove(&who);
        }
    }

    fn device_state(&mut self, user: &UserId, device: &Device) -> Option<&mut DeviceState<S, M>> {
        self.users
            .get_mut(user)?
            .iter_mut()
            .find(|device_state| device_state.device == *device)
    }

    /// Forgets a device without sockets. One with an unsaved mark stays, or its next socket would get the
    /// same notifications again; but only `max_unsaved` of them stay while the store fails.
    fn tidy(&mut self, user: &UserId, device: &Device) {
        let full = self.unsaved.len() > self.max_unsaved;
        let Some(devices) = self.users.get_mut(user) else {
            return;
        };
        devices.retain(|device_state| {
            device_state.device != *device
                || !device_state.sockets.is_empty()
                || device_state.reading
                || (device_state.is_unsaved() && !full)
        });
        if !devices.iter().any(|device_state| device_state.device == *device) {
            let who = (Arc::clone(user), Arc::clone(device));
            self.unsaved.swap_remove(&who);
            self.in_flight.swap_remove(&who);
        }
        if devices.is_empty() {
            self.users.remove(user);
        }
    }
}

#[cfg(test)]
mod tests;
