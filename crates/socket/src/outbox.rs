//! The bounded send queue of one client, holding encoded frames. A pure value: no locks, no I/O, no wakers.

use bytes::{Buf, Bytes};
use smallvec::SmallVec;

/// What the server may do with a frame if the client reads too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Must not be skipped. If it does not fit, the server closes the connection as a slow consumer.
    Durable,
    /// May be dropped if it cannot leave at once.
    Volatile,
    /// The newest state of the thing named by the key. It replaces a queued frame with the same key, so a
    /// slow client holds at most one frame per key. If it still does not fit, it is dropped.
    Latest(u64),
}

/// Outcome of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The frame will be written unless the connection ends first.
    Queued,
    /// The frame was dropped, as its class allows.
    Dropped,
    /// The connection has ended, possibly because this frame did not fit.
    Closed,
}

/// A frame that must not be skipped did not fit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

/// Outcome for an accepted frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    Replaced,
    Dropped,
}

#[derive(Debug)]
struct Queued {
    frame: Bytes,
    kind: Kind,
}

/// How a queued frame relates to later frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    /// The newest state of the thing named by the key.
    Latest(u64),
    /// A WebSocket control frame.
    Control,
}

/// Capacity added when a second frame is queued.
const BURST: usize = 7;

/// One inline slot: an idle client owns no heap, and a single frame needs none.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    frames: SmallVec<[Queued; 1]>,
    /// Bytes queued.
    bytes: usize,
    /// A part of the first frame has been written. The rest must follow before any other frame.
    partly_written: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) frames: usize,
}

impl Outbox {
    /// The queued bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, frame: Bytes, class: Class, bounds: Bounds) -> Result<Pushed, Overflow> {
        let kind = match class {
            Class::Latest(key) => Kind::Latest(key),
            Class::Durable | Class::Volatile => Kind::Message,
        };
        let first = self.first_unstarted();
        if let Kind::Latest(_) = kind
            && let Some(old) = self.frames.iter_mut().skip(first).find(|old| old.kind == kind)
            && self.bytes - old.frame.len() + frame.len() <= bounds.bytes
        {
            self.bytes = self.bytes - old.frame.len() + frame.len();
            old.frame = frame;
            return Ok(Pushed::Replaced);
        }
        // An empty outbox takes one frame of any size: `max_payload` may exceed the outbox.
        let fits = self.is_empty()
            || (self.bytes + frame.len() <= bounds.bytes && self.frames.len() < bounds.frames);
        if !fits {
            return if class == Class::Durable {
                Err(Overflow)
            } else {
                Ok(Pushed::Dropped)
            };
        }
        self.bytes += frame.len();
        self.reserve();
        self.frames.push(Queued { frame, kind });
        Ok(Pushed::Queued)
    }

    /// Grows by several slots at once: a second queued frame is usually followed by more.
    fn reserve(&mut self) {
        if !self.frames.is_empty() && self.frames.len() == self.frames.capacity() {
            self.frames.reserve(BURST);
        }
    }

    /// Queues a ping ahead of the backlog, regardless of the bounds.
    pub(crate) fn push_front(&mut self, frame: Bytes) {
        self.insert(frame, Kind::Message);
    }

    /// Queues a frame behind all others, regardless of the bounds.
    pub(crate) fn push_last(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push(Queued {
            frame,
            kind: Kind::Message,
        });
    }

    /// Queues a pong. It replaces a pong that has not left (RFC 6455, 5.5.3), so a peer that pings without
    /// reading cannot grow the queue.
    pub(crate) fn queue_pong(&mut self, control: Bytes) {
        let first = self.first_unstarted();
        let older = self.frames.iter_mut().skip(first);
        // At most one ping can have been queued ahead of it.
        match older.take(2).find(|older| older.kind == Kind::Control) {
            Some(older) => {
                self.bytes = self.bytes - older.frame.len() + control.len();
                older.frame = control;
            }
            None => self.insert(control, Kind::Control),
        }
    }

    /// Queues the close frame as the last frame. Without `flush`, drops all other queued frames.
    pub(crate) fn close(&mut self, close: Bytes, flush: bool) {
        if !flush {
            self.drop_queued();
        }
        self.push_last(close);
    }

    /// Inserts the frame before all frames that have not started.
    fn insert(&mut self, frame: Bytes, kind: Kind) {
        self.bytes += frame.len();
        self.frames.insert(self.first_unstarted(), Queued { frame, kind });
    }

    /// Index of the first frame of which nothing has been written.
    fn first_unstarted(&self) -> usize {
        usize::from(self.partly_written)
    }

    /// Whether this frame is the next one to start.
    pub(crate) fn is_next(&self, frame: &Bytes) -> bool {
        self.frames
            .get(self.first_unstarted())
            .is_some_and(|waiting| waiting.frame == *frame)
    }

    /// Whether everything has been written.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether at most half of the capacity is in use.
    pub(crate) fn has_room(&self, bounds: Bounds) -> bool {
        self.bytes <= bounds.bytes / 2 && self.frames.len() <= bounds.frames / 2
    }

    /// The queued frames, in order.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &Bytes> {
        self.frames.iter().map(|waiting| &waiting.frame)
    }

    /// Removes `bytes` written bytes from the front.
    pub(crate) fn advance(&mut self, mut bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        let mut done = 0;
        for waiting in &mut self.frames {
            if bytes < waiting.frame.len() {
                waiting.frame.advance(bytes);
                break;
            }
            bytes -= waiting.frame.len();
            done += 1;
        }
        self.partly_written = bytes > 0 || (done == 0 && self.partly_written);
        self.frames.drain(..done);
        self.release_heap();
    }

    /// Takes all queued frames.
    pub(crate) fn take(&mut self) -> Batch {
        let all = std::mem::take(self).frames;
        all.into_iter().map(|waiting| waiting.frame).collect()
    }

    /// Drops all queued frames, except one that is partly written: the peer would read the next bytes as
    /// part of it.
    pub(crate) fn drop_queued(&mut self) {
        self.frames.truncate(self.first_unstarted());
        self.bytes = self.frames().map(Bytes::len).sum();
        self.release_heap();
    }

    /// Frees the heap space of a burst and keeps the inline slot.
    fn release_heap(&mut self) {
        if self.frames.is_empty() {
            self.frames.shrink_to_fit();
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Outbox::default();
    }
}

/// The frames of one polling answer.
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
    fn bytes_and_frames_are_limited_until_written() {
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
    fn an_oversized_frame_fits_only_an_empty_outbox() {
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
    fn the_newest_state_replaces_a_queued_one() {
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
    fn a_partly_written_state_is_not_replaced() {
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
        assert!(outbox.is_next(&frame("ping")));
        assert_eq!(outbox.take().into_vec(), ["ping", "1234567890"]);
    }

    #[test]
    fn frames_are_never_inserted_into_a_partly_written_one() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "1234").unwrap();
        push(&mut outbox, "56").unwrap();
        outbox.advance(1);
        outbox.queue_pong(frame("pong"));
        outbox.push_front(frame("ping"));
        assert!(outbox.is_next(&frame("ping")));
        let frames: Vec<_> = outbox.frames().collect();
        assert_eq!(frames, ["234", "ping", "pong", "56"]);
        outbox.close(frame("close"), false);
        assert_eq!(outbox.take().into_vec(), ["234", "close"]);
    }

    #[test]
    fn a_new_pong_replaces_a_queued_one() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "12").unwrap();
        outbox.queue_pong(frame("p1"));
        outbox.push_front(frame("ping"));
        outbox.queue_pong(frame("p2!"));
        outbox.advance(5);
        outbox.queue_pong(frame("p3"));
        assert_eq!(
            outbox.take().into_vec(),
            ["2!", "p3", "12"],
            "the second has partly_written"
        );
    }

    #[test]
    fn a_close_follows_the_flushed_frames() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "12").unwrap();
        outbox.close(frame("close"), true);
        assert_eq!(outbox.bytes, 7);
        assert_eq!(outbox.take().into_vec(), ["12", "close"]);
    }

    #[test]
    fn dropped_frames_do_not_count() {
        let mut outbox = Outbox::default();
        push(&mut outbox, "1234").unwrap();
        push(&mut outbox, "5").unwrap();
        outbox.advance(1);
        outbox.drop_queued();
        assert_eq!(outbox.bytes, 3);
        outbox.advance(3);
        assert!(outbox.is_empty() && outbox.bytes == 0 && !outbox.partly_written);
    }

    #[test]
    fn an_empty_outbox_owns_no_heap() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            push(&mut outbox, "1").unwrap();
        }
        assert!(outbox.frames.spilled());
        outbox.advance(3);
        assert!(!outbox.frames.spilled());
    }
}
