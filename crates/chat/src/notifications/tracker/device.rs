//! One device: its sockets, and what of its user's notifications was sent to which and has arrived.

use std::ops::RangeInclusive;

use super::Device;

/// The most numbers of a device that may be on their way. Beyond, the oldest counts as arrived: about so many are kept
/// for a user at all.
const MOST_OPEN: usize = 1_000;

/// A device.
#[derive(Debug)]
pub(super) struct Line<S, M> {
    pub(super) device: Device,
    pub(super) seats: Vec<Seat<S>>,
    /// All up to here was sent; `None` until the store was asked.
    pub(super) given: Option<u64>,
    /// What was sent and is not known to have arrived anywhere, by number.
    pub(super) open: Vec<Open<M>>,
    /// The store's mark, as far as it is known here.
    pub(super) saved: u64,
    /// The newest number heard of.
    pub(super) head: u64,
    /// A reader is at work.
    pub(super) reading: bool,
    /// Something that was given is to be given again; a page that a reader fetches now may lie beyond it.
    pub(super) open_again: bool,
}

/// A socket of a device.
#[derive(Debug)]
pub(super) struct Seat<S> {
    /// The serial of its session.
    pub(super) serial: u64,
    pub(super) to: S,
    /// The numbers it was sent: stretches that do not touch, ascending. Nearly always one.
    pub(super) sent: Vec<RangeInclusive<u64>>,
}

/// A number on its way over one socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open<M> {
    pub(super) seq: u64,
    pub(super) serial: u64,
    pub(super) mark: M,
}

impl<S> Seat<S> {
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

impl<S, M: Copy> Line<S, M> {
    /// All up to here has arrived.
    pub(super) fn arrived(&self) -> Option<u64> {
        let first_open = self.open.first().map(|open| open.seq - 1);
        self.given
            .map(|given| first_open.map_or(given, |open| open.min(given)))
    }

    pub(super) fn is_unsaved(&self) -> bool {
        self.arrived().is_some_and(|arrived| arrived > self.saved)
    }

    /// Sends a number to every socket that was not sent it yet. False if nobody took it, or has it.
    pub(super) fn send(&mut self, seq: u64, send: &mut impl FnMut(&S) -> Option<M>) -> bool {
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
    pub(super) fn look(&mut self, has_arrived: &impl Fn(&S, M) -> bool) {
        let Self { seats, open, .. } = self;
        let arrived = |open: &&Open<M>| {
            let seat = seats.iter().find(|seat| seat.serial == open.serial);
            seat.is_some_and(|seat| has_arrived(&seat.to, open.mark))
        };
        let arrived: Vec<u64> = open.iter().filter(arrived).map(|open| open.seq).collect();
        open.retain(|open| arrived.binary_search(&open.seq).is_err());
    }

    /// True if a reader has to be started.
    pub(super) fn starts_reading(&mut self) -> bool {
        let behind = self.given.is_none_or(|given| given < self.head);
        behind && !std::mem::replace(&mut self.reading, true)
    }

    /// A socket is gone. What only it carried goes out again: to the others, or to the next.
    pub(super) fn lose(&mut self, serial: u64) {
        self.seats.retain(|seat| seat.serial != serial);
        let (lost, open): (Vec<_>, Vec<_>) = self.open.drain(..).partition(|open| open.serial == serial);
        self.open = open;
        self.head = lost.last().map_or(self.head, |lost| self.head.max(lost.seq));
        let carried = |lost: &Open<M>| self.open.binary_search_by_key(&lost.seq, |open| open.seq).is_ok();
        if let Some(lost) = lost.iter().find(|lost| !carried(lost)) {
            self.given = self.given.map(|given| given.min(lost.seq - 1));
            self.open_again = self.reading;
        }
    }
}
