//! The task of one session: it moves bytes between the WebSocket (if there is one), the outbox and the
//! upper layer, and watches the deadlines. A hand-written future, since it determines the memory of an idle
//! client: no buffers, one timer.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use roomful_wire::{
    engine::Packet,
    frame::{self, Decoder, Message},
};
use tokio::time::{Instant, Sleep};

use super::{
    Connection,
    incoming::{NO_STATUS, SessionEnd, handle_message},
    registry::SessionPermit,
    session::{Session, UpgradedStream},
    stream::{Source, Stream},
};
use crate::reason::Reason;

/// Size of the read buffer, which all connections of a thread share.
const READ_BUFFER: usize = 64 * 1024;
/// Rounds of reading and writing before other connections get their turn.
const ROUNDS: usize = 8;
/// Frames after which a turn ends with its round: a round may read thousands of small frames.
const FRAMES: usize = 256;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BUFFER].into_boxed_slice());
}

/// Progress of the session's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Reading and writing, or waiting for polls.
    Open,
    /// The session has ended. The outbox is flushed until the deadline.
    Flushing(Instant),
    /// The outbox is written. The pong to the final ping is due until the deadline.
    AwaitingPong(Instant),
    /// The write half is shut down. Waits for the peer's end until the deadline, because closing a socket
    /// with unread data resets it and discards the last bytes.
    AwaitingPeerClose(Instant),
    /// The stream is closed, or the polling client has received its last answer.
    Gone,
}

pub(super) struct SessionTask {
    session: Arc<Session>,
    connection: Box<dyn Connection>,
    /// The read half of the WebSocket, if there is one. The session has the write half.
    source: Option<Source>,
    decoder: Decoder,
    /// The close code that the peer sent, or the one that its fault calls for.
    close_code: Option<u16>,
    stage: Stage,
    end_started: bool,
    /// Frames that were read in this turn.
    frames: usize,
    /// Bytes that the task has counted as unfinished.
    held: usize,
    /// When the unfinished message must be complete.
    message_by: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    _permit: SessionPermit,
}

enum Io {
    Moved,
    Blocked,
}

impl SessionTask {
    pub(super) fn new(session: Arc<Session>, connection: Box<dyn Connection>, permit: SessionPermit) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(session.check_heartbeat()));
        SessionTask {
            session,
            connection,
            source: None,
            decoder: Decoder::default(),
            close_code: None,
            stage: Stage::Open,
            end_started: false,
            frames: 0,
            held: 0,
            message_by: None,
            timer,
            _permit: permit,
        }
    }

    /// Starts with the WebSocket of the handshake.
    pub(super) fn with_stream(mut self, stream: Stream, read_ahead: &Bytes) -> Self {
        self.take_over(UpgradedStream {
            stream,
            decoder: Decoder::default(),
            read_ahead: read_ahead.to_vec(),
        });
        self
    }

    fn take_over(&mut self, mut upgraded: UpgradedStream) {
        self.session.attach(upgraded.stream.sink);
        self.source = Some(upgraded.stream.source);
        self.decoder = upgraded.decoder;
        self.ingest(&mut upgraded.read_ahead);
    }

    // ---- deadlines

    /// The next deadline of the upper layer or of the unfinished message.
    fn deadline(&self) -> Option<Instant> {
        self.connection
            .deadline()
            .into_iter()
            .chain(self.message_by)
            .min()
    }

    /// Acts on passed deadlines and registers the next one. Returns whether a deadline had passed.
    fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> bool {
        let mut acted = false;
        if self.stage == Stage::Open
            && let Some(deadline) = self.deadline()
            && deadline < self.timer.deadline()
        {
            self.timer.as_mut().reset(deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            acted = true;
            let now = Instant::now();
            match self.stage {
                Stage::Flushing(until) | Stage::AwaitingPong(until) | Stage::AwaitingPeerClose(until)
                    if until <= now =>
                {
                    self.abandon_stream();
                }
                Stage::Open => self.check_deadlines(now),
                _ => {}
            }
            self.reset_timer(now);
        }
        acted
    }

    fn check_deadlines(&mut self, now: Instant) {
        if self.message_by.is_some_and(|deadline| deadline <= now) {
            // While reading pauses, the rest of the message may wait in the kernel.
            let paused = self.connection.is_saturated();
            self.message_by = paused.then(|| now + self.session.settings().message_timeout);
            if !paused {
                self.session.end(Reason::MessageTimeout);
            }
        }
        if self.connection.deadline().is_some_and(|deadline| deadline <= now)
            && let Some(reason) = self.connection.on_deadline()
        {
            self.session.end(reason);
        }
    }

    fn reset_timer(&mut self, now: Instant) {
        let next = match self.stage {
            Stage::Flushing(until) | Stage::AwaitingPong(until) | Stage::AwaitingPeerClose(until) => until,
            Stage::Gone => now + self.session.settings().heartbeat.interval,
            Stage::Open => {
                let heartbeat = self.session.check_heartbeat();
                self.deadline()
                    .map_or(heartbeat, |deadline| heartbeat.min(deadline))
                    .max(now)
            }
        };
        self.timer.as_mut().reset(next);
    }

    // ---- output

    fn write(&mut self, cx: &mut Context<'_>) -> Io {
        match self.session.poll_write(cx) {
            Poll::Ready(Ok(())) => Io::Moved,
            Poll::Pending => Io::Blocked,
            Poll::Ready(Err(_)) => self.on_stream_lost(),
        }
    }

    // ---- input

    fn read(&mut self, cx: &mut Context<'_>) -> Io {
        if self.connection.is_saturated() && self.stage == Stage::Open {
            return Io::Blocked;
        }
        BUFFER.with_borrow_mut(|buffer| {
            let Some(source) = self.source.as_mut() else {
                return Io::Blocked;
            };
            match source.poll_read(cx, buffer) {
                Poll::Pending => Io::Blocked,
                Poll::Ready(Ok(0) | Err(_)) => self.on_stream_lost(),
                Poll::Ready(Ok(count)) => {
                    self.session.metrics().bytes_in.increment(count as u64);
                    match buffer.get_mut(..count) {
                        Some(bytes) if self.stage == Stage::Open => self.ingest(bytes),
                        Some(bytes) => self.await_reply(bytes),
                        None => {}
                    }
                    Io::Moved
                }
            }
        })
    }

    fn ingest(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() && self.close_code.is_none() {
            // Entering a namespace raises the limit.
            let limits = self.session.frame_limits();
            let consumed = match self.decoder.decode(&limits, bytes) {
                Ok(decoded) => {
                    let consumed = decoded.consumed;
                    self.frames += 1;
                    if let Some(message) = decoded.message {
                        if matches!(message, Message::Text(_) | Message::Binary(_)) {
                            self.message_by = None;
                        }
                        match handle_message(message, &self.session, self.connection.as_mut()) {
                            Ok(None) => {}
                            Ok(Some(control)) => self.session.queue_pong(control),
                            Err(SessionEnd { reason, code }) => {
                                self.close_code = code.or(reason.close_code());
                                self.session.end(reason);
                                return;
                            }
                        }
                    }
                    consumed
                }
                Err(error) => {
                    tracing::debug!(%error, "failed to decode a WebSocket frame");
                    self.close_code = Some(error.close_code());
                    let too_large = error.close_code() == 1009;
                    self.session.end(if too_large {
                        Reason::TooLarge
                    } else {
                        Reason::TransportError
                    });
                    return;
                }
            };
            bytes = bytes.get_mut(consumed..).unwrap_or_default();
        }
        self.update_unfinished();
    }

    /// Reads on after the session's end. The pong to the final ping, or the answer to our close frame,
    /// proves that the client has received all frames. The mere end of the stream proves nothing: a proxy
    /// may have caused it.
    fn await_reply(&mut self, mut bytes: &mut [u8]) {
        let limits = self.session.frame_limits();
        while !bytes.is_empty() {
            let Ok(decoded) = self.decoder.decode(&limits, bytes) else {
                return;
            };
            match decoded.message {
                Some(Message::Close(_)) => return self.session.note_client_close(),
                Some(Message::Text(text)) => {
                    if let Ok(Packet::Pong(_)) = Packet::from_text(&text) {
                        self.session.pong();
                    }
                }
                _ => {}
            }
            let consumed = decoded.consumed;
            bytes = bytes.get_mut(consumed..).unwrap_or_default();
        }
    }

    /// Updates the count of unfinished bytes and the deadline of the unfinished message.
    fn update_unfinished(&mut self) {
        let held = self.decoder.buffered_bytes() + self.connection.buffered_bytes();
        if held == 0 {
            self.message_by = None;
        } else if self.message_by.is_none() {
            self.message_by = Some(Instant::now() + self.session.settings().message_timeout);
        }
        self.count_unfinished(held);
    }

    fn count_unfinished(&mut self, held: usize) {
        let before = std::mem::replace(&mut self.held, held);
        self.session.change_unfinished(before, held);
    }

    fn take_input_from_polls(&mut self) {
        let input = self.session.take_input(!self.connection.is_saturated());
        let polled = !input.inbox.is_empty();
        for message in input.inbox {
            if let Err(reason) = self.connection.receive(message.as_incoming()) {
                self.session.end(reason);
                break;
            }
        }
        if let Some(upgraded) = input.upgraded {
            self.take_over(upgraded);
            self.connection.upgraded();
        } else if polled {
            self.update_unfinished();
        }
        if let Some(reason) = input.ending
            && !self.end_started
        {
            self.start_closing(reason);
        }
    }

    // ---- the end

    fn start_closing(&mut self, reason: Reason) {
        self.end_started = true;
        self.connection.closed(reason);
        self.message_by = None;
        let now = Instant::now();
        let settings = self.session.settings();
        let (linger, pong_timeout) = (settings.linger, settings.heartbeat.timeout);
        // Without a close code the client has not begun the closing handshake, so the stream may end
        // without one.
        let cut = reason.is_temporary() && self.close_code.is_none();
        if self.source.is_some() && cut && !reason.flushes() {
            self.abandon_stream();
        } else if self.source.is_some() {
            self.stage = Stage::Flushing(now + linger);
            if !cut {
                self.queue_close_frame(reason);
            }
        } else if reason.lingers() && !self.session.close_delivered() {
            // The client gets its last frames with its next GET. A server that shuts down waits only for
            // GETs that are already on their way.
            let shutting_down = reason == Reason::ServerShuttingDown;
            let wait = if shutting_down { linger } else { pong_timeout };
            self.stage = Stage::Flushing(now + wait);
        } else {
            self.stage = Stage::Gone;
            self.session.mark_closed();
        }
        self.reset_timer(now);
    }

    fn queue_close_frame(&mut self, reason: Reason) {
        let code = self.close_code.or(reason.close_code());
        let mut close = Vec::new();
        frame::write_close(
            code.filter(|&code| code != NO_STATUS),
            reason.close_text(),
            &mut close,
        );
        self.session.close_stream(close.into(), reason.flushes());
    }

    /// Continues the end: flush the outbox, await the pong, shut down the write half, await the peer's end.
    fn continue_closing(&mut self, cx: &mut Context<'_>) {
        let now = Instant::now();
        let linger = self.session.settings().linger;
        if let (Stage::Flushing(until), None) = (self.stage, &self.source) {
            if self.session.close_delivered() {
                self.abandon_stream();
            } else if self.session.is_server_closing() {
                self.stage = Stage::Flushing(until.min(now + linger));
                self.reset_timer(now);
            }
            return;
        }
        if matches!(self.stage, Stage::Flushing(_))
            && self.session.is_written()
            && self.session.awaits_final_pong()
        {
            self.stage = Stage::AwaitingPong(now + linger);
            self.reset_timer(now);
        }
        let flushed = match self.stage {
            Stage::Flushing(_) => true,
            Stage::AwaitingPong(_) => !self.session.awaits_final_pong(),
            Stage::Open | Stage::AwaitingPeerClose(_) | Stage::Gone => false,
        };
        if !flushed {
            return;
        }
        match self.session.poll_shutdown(cx) {
            Poll::Ready(Ok(())) => {
                self.stage = Stage::AwaitingPeerClose(now + linger);
                self.reset_timer(now);
            }
            Poll::Ready(Err(_)) => self.abandon_stream(),
            Poll::Pending => {}
        }
    }

    /// The peer has closed or reset the stream.
    fn on_stream_lost(&mut self) -> Io {
        self.session.end(Reason::TransportClose);
        self.drop_stream();
        if self.end_started {
            self.stage = Stage::Gone;
        }
        self.session.mark_closed();
        Io::Blocked
    }

    fn abandon_stream(&mut self) {
        self.drop_stream();
        self.stage = Stage::Gone;
        self.session.forget();
        self.session.mark_closed();
    }

    fn drop_stream(&mut self) {
        if self.source.take().is_some() {
            self.session.detach();
            self.decoder = Decoder::default();
            self.count_unfinished(self.connection.buffered_bytes());
        }
    }
}

impl Future for SessionTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.frames = 0;
        for _ in 0..ROUNDS {
            if this.frames > FRAMES {
                break;
            }
            this.take_input_from_polls();
            let can_write = matches!(this.write(cx), Io::Moved);
            let read = matches!(this.read(cx), Io::Moved);
            let was_saturated = this.connection.is_saturated();
            let idle = this.connection.poll(cx).is_ready();
            if was_saturated && !this.connection.is_saturated() {
                continue;
            }
            if read {
                continue;
            }
            if this.end_started {
                this.continue_closing(cx);
                if this.stage == Stage::Gone && idle {
                    return Poll::Ready(());
                }
                if this.stage == Stage::Gone {
                    return Poll::Pending;
                }
            }
            if this.poll_deadlines(cx) {
                continue;
            }
            let saturated = this.connection.is_saturated();
            if this.session.sleep(cx, can_write, saturated, this.end_started) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for SessionTask {
    fn drop(&mut self) {
        // Also after a panic in the upper layer, and when the runtime shuts down.
        self.session.end(Reason::TransportClose);
        self.drop_stream();
        self.session.forget();
        self.session.mark_closed();
        self.count_unfinished(0);
        self.session.metrics().connections.decrement(1);
    }
}
