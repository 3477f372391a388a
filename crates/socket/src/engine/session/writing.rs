//! The way out of a session that has a WebSocket: what is in the outbox goes into the stream, under the session's lock,
//! by the session's task or by the task of its [`Lane`](crate::engine::flusher::Lane), whoever has its turn first. The
//! lock is held for one write at a time, which never waits.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
};

use bytes::Bytes;
use parking_lot::MutexGuard;

use super::{Session, State, sleeper::wake_task, wake_all};
use crate::engine::stream::Sink;

/// Frames given to one vectored write.
const FRAMES_PER_WRITE: usize = 64;

/// What a turn of writing came to.
enum Turn {
    /// Nothing is left.
    Done,
    More,
    /// The stream takes no more now.
    Blocked,
}

impl Session {
    /// The WebSocket that carries the session from now on.
    pub(in crate::engine) fn attach(&self, sink: Sink) {
        self.state.lock().sink = Some(sink);
    }

    /// Lets go of the WebSocket, and of what has not left by it.
    pub(in crate::engine) fn detach(&self) {
        let mut state = self.state.lock();
        state.outbox.clear();
        let sink = state.sink.take();
        drop(state);
        drop(sink);
    }

    /// Owes the client a pong.
    pub(in crate::engine) fn owe(&self, control: Bytes) {
        self.state.lock().outbox.owe(control);
    }

    /// Ends the WebSocket with `close`, after what waits if it is to be flushed.
    pub(in crate::engine) fn close_stream(&self, close: Bytes, flush: bool) {
        self.state.lock().outbox.close(close, flush);
    }

    /// Has everything been written?
    pub(in crate::engine) fn is_written(&self) -> bool {
        self.state.lock().outbox.is_empty()
    }

    /// Writes all there is, for the session's task: ready when nothing is left, pending when the stream takes no more, or
    /// there is none.
    pub(in crate::engine) fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut state = self.state.lock();
            let all_written = state.outbox.is_empty();
            match &mut state.sink {
                None => return Poll::Pending,
                Some(sink) if all_written => return sink.poll_flush(cx),
                Some(_) => {}
            }
            let outcome = state.write(|sink, slices| match sink.poll_write(cx, slices) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            });
            if matches!(self.written(state, outcome)?, Turn::Blocked) {
                return Poll::Pending;
            }
        }
    }

    /// Shuts our side of the WebSocket, once all is written.
    pub(in crate::engine) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        let all_written = state.outbox.is_empty();
        match &mut state.sink {
            None => Poll::Ready(Ok(())),
            Some(sink) if all_written => sink.poll_shutdown(cx),
            Some(_) => Poll::Pending,
        }
    }

    /// Writes what waits, for a flusher. Where that does not do, the task is woken: it waits for the stream, or finds out
    /// what is wrong with it.
    pub(in crate::engine) fn flush(&self) {
        let mut state = self.state.lock();
        state.queued = false;
        if state.ending.is_some() || !state.sleeps_for_frames() || state.outbox.is_empty() {
            return;
        }
        let outcome = state.write(|sink, slices| sink.try_write(slices));
        if !matches!(self.written(state, outcome), Ok(Turn::Done)) {
            wake_task(self.state.lock());
        }
    }

    /// Counts what was written, and tells who waits for room.
    fn written(&self, mut state: MutexGuard<'_, State>, outcome: io::Result<usize>) -> io::Result<Turn> {
        let bytes = match outcome {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Turn::Blocked),
            Err(error) => return Err(error),
        };
        state.outbox.advance(bytes);
        let waiting = state.on_room(self.engine.bounds());
        let turn = if state.outbox.is_empty() {
            Turn::Done
        } else {
            Turn::More
        };
        drop(state);
        self.engine.metrics.bytes_out.increment(bytes as u64);
        wake_all(waiting);
        Ok(turn)
    }
}

impl State {
    /// Gives the frames that are next to `write`.
    fn write(
        &mut self,
        write: impl FnOnce(&mut Sink, &[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let Some(sink) = &mut self.sink else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(self.outbox.frames()) {
            *slice = IoSlice::new(frame);
            count += 1;
        }
        write(sink, slices.get(..count).unwrap_or_default())
    }
}
