//! The bounded queue of ready frames that wait for one client. Pure: no locks, no I/O, no wakers.

use bytes::{Buf, Bytes};
use smallvec::SmallVec;

/// What may become of a frame when its client reads too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Must not be skipped. If it does not fit, the connection is closed as a slow consumer.
    Durable,
    /// May be dropped whenever the client is not ready for it.
    Volatile,
    /// The newest state of the thing that the key names. A waiting frame with the same key is replaced, so a slow
    /// client holds at most one a key; if even that does not fit, it is dropped.
    Latest(u64),
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It will be written unless the connection ends first.
    Queued,
    /// It was dropped, as its class allows.
    Dropped,
    /// The connection has ended, or was ended because this frame did not fit.
    Closed,
}

/// A frame did not fit and must not be skipped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

/// What became of an accepted frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    Replaced,
    Dropped,
}

#[derive(Debug)]
struct Waiting {
    frame: Bytes,
    kind: Kind,
}

/// What a waiting frame is to the frames that come after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    /// The newest state of the thing that the key names.
    Latest(u64),
    /// A WebSocket control frame.
    Control,
}

/// Frames that an outbox makes place for when more than one waits.
const BURST: usize = 7;

/// One inline place: an idle client owns no heap, and one frame at a time needs none.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: SmallVec<[Waiting; 1]>,
    /// Bytes waiting.
    bytes: usize,
    /// A part of the first frame has been written. It must end before anything else goes out.
    begun: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) frames: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, frame: Bytes, class: Class, bounds: Bounds) -> Result<Pushed, Overflow> {
        let kind = match class {
            Class::Latest(key) => Kind::Latest(key),
            Class::Durable | Class::Volatile => Kind::Message,
        };
        let first = self.border();
        if let Kind::Latest(_) = kind
            && let Some(old) = self.waiting.iter_mut().skip(first).find(|old| old.kind == kind)
            && self.bytes - old.frame.len() + frame.len() <= bounds.bytes
        {
            self.bytes = self.bytes - old.frame.len() + frame.len();
            old.frame = frame;
            return Ok(Pushed::Replaced);
        }
        // One frame always fits an empty outbox: `max_payload` may be larger than the outbox.
        let fits = self.is_empty()
            || (self.bytes + frame.len() <= bounds.bytes && self.waiting.len() < bounds.frames);
        if !fits {
            return if class == Class::Durable {
                Err(Overflow)
            } else {
                Ok(Pushed::Dropped)
            };
        }
        self.bytes += frame.len();
        self.make_place();
        self.waiting.push(Waiting { frame, kind });
        Ok(Pushed::Queued)
    }

    /// Where one waits already, more will come: grows by several at once.
    fn make_place(&mut self) {
        if !self.waiting.is_empty() && self.waiting.len() == self.waiting.capacity() {
            self.waiting.reserve(BURST);
        }
    }

    /// A ping, which must not wait behind a backlog. It does not ask for room.
    pub(crate) fn push_front(&mut self, frame: Bytes) {
        self.insert(frame, Kind::Message);
    }

    /// A pong that is due. The newest wins (RFC 6455, 5.5.3): it takes the place of one that has not left, so a peer that
    /// pings without reading makes nothing grow.
    pub(crate) fn owe(&mut self, control: Bytes) {
        let first = self.border();
        let older = self.waiting.iter_mut().skip(first);
        // No more than a ping can have gone before it since.
        match older.take(2).find(|older| older.kind == Kind::Control) {
            Some(older) => {
                self.bytes = self.bytes - older.frame.len() + control.len();
                older.frame = control;
            }
            None => self.insert(control, Kind::Control),
        }
    }

    /// Nothing comes after `close`. Without `flush` what waits is dropped.
    pub(crate) fn close(&mut self, close: Bytes, flush: bool) {
        if !flush {
            self.drop_waiting();
        }
        self.bytes += close.len();
        self.waiting.push(Waiting {
            frame: close,
            kind: Kind::Message,
        });
    }

    /// At the first border of frames, past all that waits.
    fn insert(&mut self, frame: Bytes, kind: Kind) {
        self.bytes += frame.len();
        self.waiting.insert(self.border(), Waiting { frame, kind });
    }

    /// Where the first frame stands of which nothing has been written.
    fn border(&self) -> usize {
        usize::from(self.begun)
    }

    /// Is this very frame the next to leave, but for one that has begun?
    pub(crate) fn begins_with(&self, frame: &Bytes) -> bool {
        self.waiting
            .get(self.border())
            .is_some_and(|waiting| waiting.frame == *frame)
    }

    /// Has everything been written?
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Is at most half of the place taken?
    pub(crate) fn has_room(&self, bounds: Bounds) -> bool {
        self.bytes <= bounds.bytes / 2 && self.waiting.len() <= bounds.frames / 2
    }

    /// The frames that leave next, in order.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &Bytes> {
        self.waiting.iter().map(|waiting| &waiting.frame)
    }

    /// So many bytes of what [`Outbox::frames`] gives were written.
    pub(crate) fn advance(&mut self, mut bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        let mut done = 0;
        for waiting in &mut self.waiting {
            if bytes < waiting.frame.len() {
                waiting.frame.advance(bytes);
                break;
            }
            bytes -= waiting.frame.len();
            done += 1;
        }
        self.begun = bytes > 0 || (done == 0 && self.begun);
        self.waiting.drain(..done);
        self.give_back();
    }

    /// Takes all that waits.
    pub(crate) fn take(&mut self) -> Batch {
        let all = std::mem::take(self).waiting;
        all.into_iter().map(|waiting| waiting.frame).collect()
    }

    /// Drops all that waits. A frame that has begun stays: whatever follows would be read as part of it.
    pub(crate) fn drop_waiting(&mut self) {
        self.waiting.truncate(self.border());
        self.bytes = self.frames().map(Bytes::len).sum();
        self.give_back();
    }

    /// A burst's heap place is given back; the inline place stays.
    fn give_back(&mut self) {
        if self.waiting.is_empty() {
            self.waiting.shrink_to_fit();
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Outbox::default();
    }
}

/// Frames taken for one answer to a poll.
pub(crate) type Batch = SmallVec<[Bytes; 1]>;

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 10, frames: 3 };

    fn frame(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn push(outbox: &mut Outbox, text: &'static str) -> Result<Pushed, Overflow> {
        outbox.push(frame(text), Class::Durable, BOUNDS)
    }

    #[test]
    fn bytes_and_frames_are_bounded_until_written() {
        let mut outbox = Outbox::default();
        assert_eq!(push(&mut outbox, "12345"), Ok(Pushed::Queued));
        assert_eq!(push(&mut outbox, "12345"), Ok(Pushed::Queued));
        assert_eq!(push(&mut outbox, "1"), Err(Overflow));
        assert_eq!(
            outbox.push(frame("1"), Class::Volatile, BOUNDS),
            Ok(Pushed::Dropped)
        );
        outbox.advance(5);
        assert_eq!(
            push(&mut outbox, "123456"),
            Err(Overflow),
            "half is written, half counts"
        );
        outbox.advance(5);
        assert!(outbox.is_empty());
        for _ in 0..3 {
            assert_eq!(push(&mut outbox, "1"), Ok(Pushed::Queued));
        }
        assert_eq!(push(&mut outbox, "1"), Err(Overflow), "frames are bounded too");
    }

    #[test]
    fn one_frame_over_the_bound_fits_an_empty_outbox_only() {
        let mut outbox = Outbox::default();
        assert_eq!(push(&mut outbox, "123456789012"), Ok(Pushed::Queued));
        assert_eq!(push(&mut outbox, "1"), Err(Overflow));
        outbox.advance(11);
        assert_eq!(
            push(&mut outbox, "1"),
            Ok(Pushed::Queued),
            "most of it is written"
        );
    }

    #[test]
    fn the_newest_state_replaces_a_waiting_one_in_its_place() {
        let mut outbox = Outbox::default();
        outbox.push(frame("a1"), Class::Latest(1), BOUNDS).unwrap();
        push(&mut outbox, "m").unwrap();
        assert_eq!(
            outbox.push(frame("a2!"), Class::Latest(1), BOUNDS),
            Ok(Pushed::Replaced)
        );
        assert_eq!(
            outbox.push(frame("b"), Class::Latest(2), BOUNDS),
            Ok(Pushed::Queued)
        );
        assert_eq!(outbox.take().into_vec(), ["a2!", "m", "b"]);
    }

    #[test]
    fn a_state_that_has_begun_to_leave_is_not_replaced() {
        let mut outbox = Outbox::default();
        outbox.push(frame("a1"), Class::Latest(1), BOUNDS).unwrap();
        outbox.advance(1);
        assert_eq!(
            outbox.push(frame("a2"), Class::Latest(1), BOUNDS),
            Ok(Pushed::Queued)
        );
        assert_eq!(outbox.take().into_vec(), ["1", "a2"]);
    }

    #[test]
    fn pings_jump_the_queue_and_never_overflow() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "1234567890").unwrap();
        outbox.push_front(frame("ping"));
        assert!(outbox.begins_with(&frame("ping")));
        assert_eq!(outbox.take().into_vec(), ["ping", "1234567890"]);
    }

    #[test]
    fn nothing_goes_into_a_frame_that_has_begun() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "1234").unwrap();
        push(&mut outbox, "56").unwrap();
        outbox.advance(1);
        outbox.owe(frame("pong"));
        outbox.push_front(frame("ping"));
        assert!(outbox.begins_with(&frame("ping")));
        let frames: Vec<_> = outbox.frames().collect();
        assert_eq!(frames, ["234", "ping", "pong", "56"]);
        outbox.close(frame("close"), false);
        assert_eq!(outbox.take().into_vec(), ["234", "close"]);
    }

    #[test]
    fn of_pongs_that_have_not_left_the_newest_wins() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "12").unwrap();
        outbox.owe(frame("p1"));
        outbox.push_front(frame("ping"));
        outbox.owe(frame("p2!"));
        outbox.advance(5);
        outbox.owe(frame("p3"));
        assert_eq!(
            outbox.take().into_vec(),
            ["2!", "p3", "12"],
            "the second has begun"
        );
    }

    #[test]
    fn a_close_comes_after_what_is_flushed() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "12").unwrap();
        outbox.close(frame("close"), true);
        assert_eq!(outbox.bytes, 7);
        assert_eq!(outbox.take().into_vec(), ["12", "close"]);
    }

    #[test]
    fn what_is_dropped_counts_no_longer() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "1234").unwrap();
        push(&mut outbox, "5").unwrap();
        outbox.advance(1);
        outbox.drop_waiting();
        assert_eq!(outbox.bytes, 3);
        outbox.advance(3);
        assert!(outbox.is_empty() && outbox.bytes == 0 && !outbox.begun);
    }

    #[test]
    fn an_empty_outbox_owns_no_heap() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            push(&mut outbox, "1").unwrap();
        }
        assert!(outbox.waiting.spilled());
        outbox.advance(3);
        assert!(!outbox.waiting.spilled());
    }
}
