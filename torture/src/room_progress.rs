//! A device's position in a room's log, as a client keeps it: the entries it has, and those it must request.

use roomful_testkit::history::{Joined, Name, Page};

#[derive(Debug)]
pub(crate) struct RoomProgress {
    pub(crate) room: Name,
    pub(crate) epoch: Option<Name>,
    /// The device has every entry up to here, except those in `gap`.
    last: u64,
    /// The gap of a join whose page ended before the head: the last entry before the gap, and the head.
    gap: Option<(u64, u64)>,
    subscribed: bool,
    /// The connection broke during a gap: a recovered session does not fill it.
    torn: bool,
}

impl RoomProgress {
    pub(crate) fn new(room: Name) -> Self {
        Self {
            room,
            epoch: None,
            last: 0,
            gap: None,
            subscribed: false,
            torn: false,
        }
    }

    /// The device has every entry up to here.
    pub(crate) fn seen(&self) -> u64 {
        self.gap.map_or(self.last, |(seen, _)| seen)
    }

    pub(crate) fn subscribed(&self) -> bool {
        self.subscribed
    }

    /// The `since` of the next join; `None` before the first one.
    pub(crate) fn since(&self) -> Option<u64> {
        self.epoch.as_ref().map(|_| self.seen())
    }

    /// Applies the answer to a join. Returns the entry to read on from, if the page ends before the head.
    pub(crate) fn joined(&mut self, joined: &Joined) -> Option<u64> {
        let before = self.seen();
        self.epoch = Some(joined.epoch.clone());
        self.last = joined.head;
        self.subscribed = true;
        let reached = joined.entries.last().map_or(before, |seen| seen.seq);
        let partial = joined.more && joined.since.is_some() && !joined.reset;
        self.gap = partial.then_some((reached, joined.head));
        self.gap.map(|(seen, _)| seen)
    }

    /// Applies a requested page. Returns the entry to read on from, if the gap is still open.
    pub(crate) fn page(&mut self, page: &Page) -> Option<u64> {
        let (_, head) = self.gap?;
        let reached = page.entries.last().map_or(head, |seen| seen.seq);
        self.gap = (reached < head && page.more).then_some((reached, head));
        self.gap.map(|(seen, _)| seen)
    }

    pub(crate) fn delivered(&mut self, seq: u64) {
        self.last = self.last.max(seq);
    }

    /// The connection is lost, or the attempt failed.
    pub(crate) fn lost(&mut self) {
        self.torn |= self.gap.is_some();
        self.last = self.seen();
        self.gap = None;
    }

    /// A new connection is open. Returns true if the previous subscription has ended: without recovery any
    /// subscription, with recovery those that need a new join.
    pub(crate) fn back(&mut self, recovered: bool) -> bool {
        let was = self.subscribed;
        let torn = std::mem::take(&mut self.torn);
        self.subscribed = was && recovered && !torn;
        was && !self.subscribed
    }
}
