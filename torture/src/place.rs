//! A device's place in a room's log, as a client keeps it: what it has seen, and what it must ask for to see the rest.

use roomful_testkit::history::{Joined, Name, Page};

#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) room: Name,
    pub(crate) epoch: Option<Name>,
    /// All up to here was seen, the gap below aside.
    last: u64,
    /// The join's page has not reached its head: the last entry that was seen before the gap, and the head.
    gap: Option<(u64, u64)>,
    subscribed: bool,
    /// The connection was lost while there was a gap: a session that goes on does not fill it.
    torn: bool,
}

impl Place {
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

    /// Up to where everything was seen.
    pub(crate) fn seen(&self) -> u64 {
        self.gap.map_or(self.last, |(seen, _)| seen)
    }

    pub(crate) fn subscribed(&self) -> bool {
        self.subscribed
    }

    /// What to say in the next join; nothing before the first one.
    pub(crate) fn since(&self) -> Option<u64> {
        self.epoch.as_ref().map(|_| self.seen())
    }

    /// Takes the answer to a join. Answers after which entry to read on, if the page does not reach the head.
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

    /// Takes a page that was asked for. Answers after which entry to read on, if the gap is not closed yet.
    pub(crate) fn page(&mut self, page: &Page) -> Option<u64> {
        let (_, head) = self.gap?;
        let reached = page.entries.last().map_or(head, |seen| seen.seq);
        self.gap = (reached < head && page.more).then_some((reached, head));
        self.gap.map(|(seen, _)| seen)
    }

    pub(crate) fn delivered(&mut self, seq: u64) {
        self.last = self.last.max(seq);
    }

    /// The connection is gone, or could not be made.
    pub(crate) fn lost(&mut self) {
        self.torn |= self.gap.is_some();
        self.last = self.seen();
        self.gap = None;
    }

    /// There is a new connection. Answers whether a subscription ended with the one before: without recovery each that
    /// there was, with it those that have to be made anew.
    pub(crate) fn back(&mut self, recovered: bool) -> bool {
        let was = self.subscribed;
        let torn = std::mem::take(&mut self.torn);
        self.subscribed = was && recovered && !torn;
        was && !self.subscribed
    }
}
