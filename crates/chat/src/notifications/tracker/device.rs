//! One device of a user: its sockets, and which notifications were sent over them and have arrived.

use std::ops::RangeInclusive;

use super::Device;

/// The most notifications in flight for a device. Beyond that, the oldest counts as arrived. The store keeps
/// about as many for a user.
const MAX_IN_FLIGHT: usize = 1_000;

/// A device.
#[derive(Debug)]
pub(super) struct DeviceState<S, M> {
    pub(super) device: Device,
    pub(super) sockets: Vec<DeviceSocket<S>>,
    /// All numbers up to here were sent; `None` until the store was read.
    pub(super) given: Option<u64>,
    /// Notifications that were sent and may not have arrived, by number.
    pub(super) in_flight: Vec<InFlight<M>>,
    /// The mark in the store, as far as it is known.
    pub(super) saved: u64,
    /// The newest known number.
    pub(super) head: u64,
    /// A reader is running.
    pub(super) reading: bool,
    /// Notifications are to be sent again, and the page that the reader is fetching may lie after them.
    pub(super) resend: bool,
}

/// A socket of a device.
#[derive(Debug)]
pub(super) struct DeviceSocket<S> {
    /// The serial of its session.
    pub(super) serial: u64,
    pub(super) to: S,
    /// The numbers that were sent over it: ascending ranges with gaps between them. Nearly always one.
    pub(super) sent: Vec<RangeInclusive<u64>>,
}

/// A notification in flight over one socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight<M> {
    pub(super) seq: u64,
    pub(super) serial: u64,
    pub(super) mark: M,
}

impl<S> DeviceSocket<S> {
    pub(super) fn has(&self, seq: u64) -> bool {
        self.sent.iter().any(|stretch| stretch.contains(&seq))
    }

    pub(super) fn note(&mut self, seq: u64) {
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

impl<S, M: Copy> DeviceState<S, M> {
    /// All numbers up to here have arrived.
    pub(super) fn arrived(&self) -> Option<u64> {
        let first_in_flight = self.in_flight.first().map(|in_flight| in_flight.seq - 1);
        self.given
            .map(|given| first_in_flight.map_or(given, |in_flight| in_flight.min(given)))
    }

    pub(super) fn is_unsaved(&self) -> bool {
        self.arrived().is_some_and(|arrived| arrived > self.saved)
    }

    /// Sends a notification over every socket that has not carried it yet. False if no socket has taken it.
    pub(super) fn send(&mut self, seq: u64, send: &mut impl FnMut(&S) -> Option<M>) -> bool {
        let mut taken = false;
        for socket in &mut self.sockets {
            if socket.has(seq) {
                taken = true;
            } else if let Some(mark) = send(&socket.to) {
                taken = true;
                socket.note(seq);
                let serial = socket.serial;
                let at = self.in_flight.partition_point(|in_flight| in_flight.seq <= seq);
                self.in_flight.insert(at, InFlight { seq, serial, mark });
            }
        }
        let surplus = self.in_flight.len().saturating_sub(MAX_IN_FLIGHT);
        self.in_flight.drain(..surplus);
        taken
    }

    /// Removes the notifications that have arrived.
    pub(super) fn check_arrivals(&mut self, has_arrived: &impl Fn(&S, M) -> bool) {
        let Self {
            sockets, in_flight, ..
        } = self;
        let arrived = |in_flight: &&InFlight<M>| {
            let socket = sockets.iter().find(|socket| socket.serial == in_flight.serial);
            socket.is_some_and(|socket| has_arrived(&socket.to, in_flight.mark))
        };
        let arrived: Vec<u64> = in_flight
            .iter()
            .filter(arrived)
            .map(|in_flight| in_flight.seq)
            .collect();
        in_flight.retain(|in_flight| arrived.binary_search(&in_flight.seq).is_err());
    }

    /// Whether the caller has to start a reader.
    pub(super) fn starts_reading(&mut self) -> bool {
        let behind = self.given.is_none_or(|given| given < self.head);
        behind && !std::mem::replace(&mut self.reading, true)
    }

    /// A socket is gone. Notifications in flight over it alone are sent again, over the others or the next
    /// one.
    pub(super) fn remove_socket(&mut self, serial: u64) {
        self.sockets.retain(|socket| socket.serial != serial);
        let (lost, in_flight): (Vec<_>, Vec<_>) = self
            .in_flight
            .drain(..)
            .partition(|in_flight| in_flight.serial == serial);
        self.in_flight = in_flight;
        self.head = lost.last().map_or(self.head, |lost| self.head.max(lost.seq));
        let carried = |lost: &InFlight<M>| {
            self.in_flight
                .binary_search_by_key(&lost.seq, |in_flight| in_flight.seq)
                .is_ok()
        };
        if let Some(lost) = lost.iter().find(|lost| !carried(lost)) {
            self.given = self.given.map(|given| given.min(lost.seq - 1));
            self.resend = self.reading;
        }
    }
}
