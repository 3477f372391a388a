//! The bounded queue of ready frames that wait for one client. Pure: no locks, no I/O, no wakers.

use bytes::Bytes;
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
    key: Option<u64>,
}

/// Frames that an outbox makes place for when more than one waits.
const BURST: usize = 7;

/// One inline place: an idle client owns no heap, and one frame at a time needs none.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: SmallVec<[Waiting; 1]>,
    /// Bytes waiting and bytes taken but not yet written.
    bytes: usize,
    /// Frames taken but not yet written.
    in_flight: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) frames: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, frame: Bytes, class: Class, bounds: Bounds) -> Result<Pushed, Overflow> {
        if let Class::Latest(key) = class
            && let Some(old) = self.waiting.iter_mut().find(|waiting| waiting.key == Some(key))
            && self.bytes - old.frame.len() + frame.len() <= bounds.bytes
        {
            self.bytes = self.bytes - old.frame.len() + frame.len();
            old.frame = frame;
            return Ok(Pushed::Replaced);
        }
        // One frame always fits an empty outbox: `max_payload` may be larger than the outbox.
        let fits = self.is_idle()
            || (self.bytes + frame.len() <= bounds.bytes
                && self.waiting.len() + self.in_flight < bounds.frames);
        if !fits {
            return if class == Class::Durable {
                Err(Overflow)
            } else {
                Ok(Pushed::Dropped)
            };
        }
        self.bytes += frame.len();
        let key = if let Class::Latest(key) = class {
            Some(key)
        } else {
            None
        };
        self.make_place();
        self.waiting.push(Waiting { frame, key });
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
        self.bytes += frame.len();
        self.waiting.insert(0, Waiting { frame, key: None });
    }

    /// Is this very frame the next to leave?
    pub(crate) fn begins_with(&self, frame: &Bytes) -> bool {
        self.waiting
            .first()
            .is_some_and(|waiting| waiting.frame == *frame)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Is at most half of the place taken?
    pub(crate) fn has_room(&self, bounds: Bounds) -> bool {
        self.bytes <= bounds.bytes / 2 && self.waiting.len() + self.in_flight <= bounds.frames / 2
    }

    /// Has everything been written?
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight == 0
    }

    /// Takes up to `frames` waiting frames for writing. They count against the bounds until [`Outbox::written`].
    pub(crate) fn take(&mut self, frames: usize, out: &mut Batch) {
        if self.waiting.len() <= frames {
            self.in_flight += self.waiting.len();
            out.extend(self.waiting.drain(..).map(|waiting| waiting.frame));
            // A burst's heap place is given back; the inline place stays.
            self.waiting.shrink_to_fit();
        } else {
            self.in_flight += frames;
            out.extend(self.waiting.drain(..frames).map(|waiting| waiting.frame));
        }
    }

    /// A frame of `bytes` is about to be written that never waited here.
    pub(crate) fn charge(&mut self, bytes: usize) {
        self.in_flight += 1;
        self.bytes += bytes;
    }

    /// `frames` taken frames with `bytes` in all were written.
    pub(crate) fn written(&mut self, frames: usize, bytes: usize) {
        self.in_flight = self.in_flight.saturating_sub(frames);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(crate) fn clear(&mut self) {
        *self = Outbox::default();
    }
}

/// Frames taken for one write.
pub(crate) type Batch = SmallVec<[Bytes; 1]>;

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 10, frames: 3 };

    fn frame(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn drain(outbox: &mut Outbox) -> Vec<Bytes> {
        let mut batch = Batch::new();
        outbox.take(usize::MAX, &mut batch);
        batch.into_vec()
    }

    #[test]
    fn bytes_and_frames_are_bounded_until_written() {
        let mut outbox = Outbox::default();
        assert_eq!(
            outbox.push(frame("12345"), Class::Durable, BOUNDS),
            Ok(Pushed::Queued)
        );
        assert_eq!(
            outbox.push(frame("12345"), Class::Durable, BOUNDS),
            Ok(Pushed::Queued)
        );
        assert_eq!(outbox.push(frame("1"), Class::Durable, BOUNDS), Err(Overflow));
        assert_eq!(
            outbox.push(frame("1"), Class::Volatile, BOUNDS),
            Ok(Pushed::Dropped)
        );
        assert_eq!(drain(&mut outbox).len(), 2);
        assert_eq!(
            outbox.push(frame("1"), Class::Durable, BOUNDS),
            Err(Overflow),
            "taken is not yet written"
        );
        outbox.written(2, 10);
        for _ in 0..3 {
            assert_eq!(
                outbox.push(frame("1"), Class::Durable, BOUNDS),
                Ok(Pushed::Queued)
            );
        }
        assert_eq!(
            outbox.push(frame("1"), Class::Durable, BOUNDS),
            Err(Overflow),
            "frames are bounded too"
        );
    }

    #[test]
    fn one_frame_over_the_bound_fits_an_idle_outbox_only() {
        let mut outbox = Outbox::default();
        assert_eq!(
            outbox.push(frame("123456789012"), Class::Durable, BOUNDS),
            Ok(Pushed::Queued)
        );
        assert_eq!(outbox.push(frame("1"), Class::Durable, BOUNDS), Err(Overflow));
    }

    #[test]
    fn the_newest_state_replaces_a_waiting_one_in_its_place() {
        let mut outbox = Outbox::default();
        outbox.push(frame("a1"), Class::Latest(1), BOUNDS).unwrap();
        outbox.push(frame("m"), Class::Durable, BOUNDS).unwrap();
        assert_eq!(
            outbox.push(frame("a2!"), Class::Latest(1), BOUNDS),
            Ok(Pushed::Replaced)
        );
        assert_eq!(
            outbox.push(frame("b"), Class::Latest(2), BOUNDS),
            Ok(Pushed::Queued)
        );
        assert_eq!(drain(&mut outbox), ["a2!", "m", "b"]);
    }

    #[test]
    fn pings_jump_the_queue_and_never_overflow() {
        let mut outbox = Outbox::default();
        outbox.push(frame("1234567890"), Class::Durable, BOUNDS).unwrap();
        outbox.push_front(frame("ping"));
        assert_eq!(drain(&mut outbox), ["ping", "1234567890"]);
    }

    #[test]
    fn an_idle_outbox_owns_no_heap() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            outbox.push(frame("1"), Class::Durable, BOUNDS).unwrap();
        }
        assert!(outbox.waiting.spilled());
        drain(&mut outbox);
        assert!(!outbox.waiting.spilled());
    }
}
