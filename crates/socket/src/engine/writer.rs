//! What is being written to a WebSocket: a batch of frames taken from the outbox, and the control frames that go
//! between them.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};

use super::{session::Session, stream::Stream};
use crate::outbox::Batch;

/// Frames given to one vectored write.
const FRAMES_PER_WRITE: usize = 64;

#[derive(Default)]
pub(super) struct Writer {
    /// Frames taken from the outbox; the first may be partly written.
    batch: Batch,
    /// Frames and bytes written since the outbox was told.
    written: (usize, usize),
    /// The newest pong that we owe the peer; goes first at the next frame border.
    control: Option<Bytes>,
    /// Is the first frame of the batch partly written?
    amid_frame: bool,
    /// Is the first frame of the batch a control frame of which nothing is written yet?
    control_first: bool,
}

impl Writer {
    /// A pong is due. The newest wins (RFC 6455, 5.5.3).
    pub(super) fn owe(&mut self, control: Bytes) {
        self.control = Some(control);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Writer::default();
    }

    /// Writes all there is: ready when nothing is left, pending when the stream takes no more.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        session: &Session,
    ) -> Poll<io::Result<()>> {
        loop {
            self.refill(session);
            if self.batch.is_empty() {
                return stream.poll_flush(cx);
            }
            let Poll::Ready(outcome) = self.poll_write(cx, stream) else {
                // What has left counts no longer, though its batch has not left whole.
                let (frames, bytes) = std::mem::take(&mut self.written);
                if bytes > 0 {
                    session.settle(frames, bytes);
                }
                return Poll::Pending;
            };
            self.advance(outcome?, session);
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<usize>> {
        let empty = IoSlice::new(&[]);
        let mut slices = [empty; FRAMES_PER_WRITE];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.batch) {
            *slice = IoSlice::new(frame);
            count += 1;
        }
        match ready!(stream.poll_write(cx, slices.get(..count).unwrap_or_default())) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            outcome => Poll::Ready(outcome),
        }
    }

    /// Takes the next frames when all are written; a control frame goes in at the first frame border.
    fn refill(&mut self, session: &Session) {
        if self.batch.is_empty() {
            let (frames, bytes) = std::mem::take(&mut self.written);
            session.take_frames(frames, bytes, FRAMES_PER_WRITE, &mut self.batch);
            if self.batch.spilled() && self.batch.is_empty() {
                self.batch = Batch::new();
            }
        }
        if self.amid_frame {
            return;
        }
        let Some(control) = self.control.take() else {
            return;
        };
        session.charge(control.len());
        match self.batch.first_mut() {
            Some(waiting) if self.control_first => {
                // It takes the place of one that has not left: a peer that pings without reading makes nothing grow.
                session.settle(1, waiting.len());
                *waiting = control;
            }
            _ => {
                self.batch.insert(0, control);
                self.control_first = true;
            }
        }
    }

    fn advance(&mut self, mut bytes: usize, session: &Session) {
        session.metrics().bytes_out.increment(bytes as u64);
        self.written.1 += bytes;
        self.control_first = false;
        let mut done = 0;
        for frame in &mut self.batch {
            if bytes < frame.len() {
                frame.advance(bytes);
                self.amid_frame = bytes > 0 || (done == 0 && self.amid_frame);
                break;
            }
            bytes -= frame.len();
            done += 1;
            self.amid_frame = false;
        }
        self.written.0 += done;
        self.batch.drain(..done);
    }

    /// Nothing comes after `close`. Without `flush` what waits is dropped; but a frame that has begun must end, or the
    /// closing frame would be read as part of it.
    pub(super) fn close(&mut self, close: Bytes, flush: bool, session: &Session) {
        self.control = None;
        if !flush {
            self.batch.truncate(usize::from(self.amid_frame));
        }
        let (frames, bytes) = std::mem::take(&mut self.written);
        session.take_frames(frames, bytes, usize::MAX, &mut self.batch);
        self.batch.push(close);
        self.control_first = false;
    }
}
