//! The write path of a session with a WebSocket. The session's task or the worker of its
//! [`FlushQueue`](crate::engine::flusher::FlushQueue) moves frames from the outbox to the stream, under the
//! session's lock. The lock is held for one non-blocking write at a time.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
};

use bytes::Bytes;
use parking_lot::MutexGuard;

use super::{Session, State, task_waker::wake_task, wake_all};
use crate::engine::{flusher::Flush, stream::Sink};

/// Frames in one vectored write.
const FRAMES_PER_WRITE: usize = 64;

/// Outcome of one write.
enum Turn {
    /// The outbox is empty.
    Done,
    More,
    /// The stream takes no more now.
    Blocked,
}

impl Session {
    /// Sets the write half of the WebSocket that carries the session from now on.
    pub(in crate::engine) fn attach(&self, sink: Sink) {
        self.state.lock().sink = Some(sink);
    }

    /// Drops the WebSocket and all queued frames.
    pub(in crate::engine) fn detach(&self) {
        let mut state = self.state.lock();
        state.outbox.clear();
        let sink = state.sink.take();
        drop(state);
        drop(sink);
    }

    /// Queues a pong.
    pub(in crate::engine) fn queue_pong(&self, control: Bytes) {
        self.state.lock().outbox.queue_pong(control);
    }

    /// Queues the close frame, after the waiting frames if `flush` is set.
    pub(in crate::engine) fn close_stream(&self, close: Bytes, flush: bool) {
        self.state.lock().outbox.close(close, flush);
    }

    /// Whether everything has been written.
    pub(in crate::engine) fn is_written(&self) -> bool {
        self.state.lock().outbox.is_empty()
    }

    /// Writes the outbox, for the session's task. Ready when it is empty; pending if the stream is blocked
    /// or missing.
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

    /// Shuts down the write half once the outbox is empty.
    pub(in crate::engine) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        let all_written = state.outbox.is_empty();
        match &mut state.sink {
            None => Poll::Ready(Ok(())),
            Some(sink) if all_written => sink.poll_shutdown(cx),
            Some(_) => Poll::Pending,
        }
    }

    /// Removes the written bytes and wakes the tasks that wait for room.
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

impl Flush for Session {
    /// Writes the outbox, for a flush worker. If the stream blocks or fails, wakes the task, which waits
    /// for it or reports the error.
    fn flush(&self) {
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

    /// Leaves writing to the session's task, because no flush worker runs.
    fn return_to_task(&self) {
        let mut state = self.state.lock();
        state.queued = false;
        wake_task(state);
    }
}

impl State {
    /// Passes the next frames to `write`.
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
