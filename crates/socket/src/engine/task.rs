//! The task of one session: it moves bytes between the WebSocket (if there is one), the outbox and the upper layer,
//! and keeps the time. A future written by hand, since it is what an idle client costs: no buffers, one timer.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use roomful_wire::frame::{self, Decoder, Message};
use tokio::time::{Instant, Sleep};

use super::{
    Connection,
    incoming::{NO_STATUS, SessionEnd, handle_message},
    registry::SessionPermit,
    session::{Session, UpgradedStream},
    stream::{Source, Stream},
};
use crate::reason::Reason;

/// Read at once; one buffer serves all connections of a thread.
const READ_BUFFER: usize = 64 * 1024;
/// Rounds of reading and writing before other connections get their turn.
const ROUNDS: usize = 8;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BUFFER].into_boxed_slice());
}

/// How far the stream's life has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Reading and writing, or waiting for polls.
    Open,
    /// The session has ended; the last frames leave, until the deadline.
    Flushing(Instant),
    /// All is written and our side is shut; the peer's end is awaited, so that no reset eats our last bytes.
    AwaitingPeerClose(Instant),
    /// No stream any more, or a polling client that heard the end.
    Gone,
}

pub(super) struct SessionTask {
    session: Arc<Session>,
    connection: Box<dyn Connection>,
    /// Where to read from, while there is a WebSocket. The session has the other half.
    source: Option<Source>,
    decoder: Decoder,
    /// The code the peer closed with, or the one its mistake deserves.
    close_code: Option<u16>,
    stage: Stage,
    end_started: bool,
    /// Bytes that we have in the process's sum of unfinished messages.
    held: usize,
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
            held: 0,
            timer,
            _permit: permit,
        }
    }

    /// Starts with a WebSocket: straight after the handshake.
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

    // ---- time

    /// Acts on what is due and registers for what comes next; says whether anything was due.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> bool {
        let mut acted = false;
        if self.stage == Stage::Open
            && let Some(deadline) = self.connection.deadline()
            && deadline < self.timer.deadline()
        {
            self.timer.as_mut().reset(deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            acted = true;
            let now = Instant::now();
            match self.stage {
                Stage::Flushing(until) | Stage::AwaitingPeerClose(until) if until <= now => {
                    self.abandon_stream()
                }
                Stage::Open => {
                    if self.connection.deadline().is_some_and(|deadline| deadline <= now)
                        && let Some(reason) = self.connection.on_deadline()
                    {
                        self.session.end(reason);
                    }
                }
                _ => {}
            }
            let next = self.next_deadline(now);
            self.timer.as_mut().reset(next);
        }
        acted
    }

    fn next_deadline(&self, now: Instant) -> Instant {
        match self.stage {
            Stage::Flushing(until) | Stage::AwaitingPeerClose(until) => until,
            Stage::Gone => now + self.session.settings().heartbeat.interval,
            Stage::Open => {
                let beat = self.session.check_heartbeat();
                self.connection
                    .deadline()
                    .map_or(beat, |deadline| beat.min(deadline))
                    .max(now)
            }
        }
    }

    // ---- out

    fn write(&mut self, cx: &mut Context<'_>) -> Io {
        match self.session.poll_write(cx) {
            Poll::Ready(Ok(())) => Io::Moved,
            Poll::Pending => Io::Blocked,
            Poll::Ready(Err(_)) => self.on_stream_lost(),
        }
    }

    // ---- in

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
                        Some(bytes) => self.await_close_reply(bytes),
                        None => {}
                    }
                    Io::Moved
                }
            }
        })
    }

    fn ingest(&mut self, mut bytes: &mut [u8]) {
        let limits = self.session.settings().frame_limits();
        while !bytes.is_empty() && self.close_code.is_none() {
            let consumed = match self.decoder.decode(&limits, bytes) {
                Ok(decoded) => {
                    let consumed = decoded.consumed;
                    if let Some(message) = decoded.message {
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
                    tracing::debug!(%error, "bad WebSocket frame");
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

    /// Whatever else comes from a client that was sent away is too late. But its close frame shows that it has got all
    /// that was written before ours; a mere end of the stream may be the doing of a proxy.
    fn await_close_reply(&mut self, mut bytes: &mut [u8]) {
        let limits = self.session.settings().frame_limits();
        while self.session.is_written() && !bytes.is_empty() {
            let Ok(decoded) = self.decoder.decode(&limits, bytes) else {
                return;
            };
            if let Some(Message::Close(_)) = decoded.message {
                return self.session.note_client_close();
            }
            let consumed = decoded.consumed;
            bytes = bytes.get_mut(consumed..).unwrap_or_default();
        }
    }

    /// Keeps the process's sum of unfinished bytes, and ends the session that takes it mark_closed its bound.
    fn update_unfinished(&mut self) {
        let held = self.decoder.held() + self.connection.held();
        if held == self.held {
            return;
        }
        let sum = self.session.unfinished();
        let before = sum.fetch_add(held.wrapping_sub(self.held), Ordering::Relaxed);
        let grown = held > self.held;
        let now = before.wrapping_add(held.wrapping_sub(self.held));
        self.held = held;
        if grown && now > self.session.settings().max_unfinished_bytes {
            self.session.end(Reason::OutOfMemory);
        }
    }

    fn take_input_from_polls(&mut self) {
        let take_input = self.session.take_input(!self.connection.is_saturated());
        for message in take_input.inbox {
            if let Err(reason) = self.connection.receive(message.as_incoming()) {
                self.session.end(reason);
                break;
            }
        }
        if let Some(upgraded) = take_input.upgraded {
            self.take_over(upgraded);
        }
        self.update_unfinished();
        if let Some(reason) = take_input.ending
            && !self.end_started
        {
            self.start_closing(reason);
        }
    }

    // ---- the end

    fn start_closing(&mut self, reason: Reason) {
        self.end_started = true;
        self.connection.closed(reason);
        let now = Instant::now();
        let (linger, goodbye) = {
            let settings = self.session.settings();
            // A server that goes down takes no further polls, but for those that are on their way.
            let going = reason == Reason::ServerShuttingDown;
            (
                settings.linger,
                if going {
                    settings.linger
                } else {
                    settings.heartbeat.timeout
                },
            )
        };
        if self.source.is_some() {
            let mut close = Vec::new();
            frame::write_close(
                self.close_code
                    .or(reason.close_code())
                    .filter(|&code| code != NO_STATUS),
                "",
                &mut close,
            );
            self.session.close_stream(close.into(), reason.flushes());
            self.stage = Stage::Flushing(now + linger);
        } else if reason.lingers() && !self.session.close_delivered() {
            // The client hears of it at its next GET, if one comes.
            self.stage = Stage::Flushing(now + goodbye);
        } else {
            self.stage = Stage::Gone;
            self.session.mark_closed();
        }
        let next = self.next_deadline(now);
        self.timer.as_mut().reset(next);
    }

    /// Goes on ending: flush, shut, wait for the peer.
    fn continue_closing(&mut self, cx: &mut Context<'_>) {
        let now = Instant::now();
        if let Stage::Flushing(until) = self.stage {
            match self.source {
                None if self.session.close_delivered() => self.abandon_stream(),
                None if self.session.is_server_closing() => {
                    self.stage = Stage::Flushing(until.min(now + self.session.settings().linger));
                    let next = self.next_deadline(now);
                    self.timer.as_mut().reset(next);
                }
                Some(_) => match self.session.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => {
                        self.stage = Stage::AwaitingPeerClose(now + self.session.settings().linger);
                        let next = self.next_deadline(now);
                        self.timer.as_mut().reset(next);
                    }
                    Poll::Ready(Err(_)) => self.abandon_stream(),
                    Poll::Pending => {}
                },
                None => {}
            }
        }
    }

    /// The peer is gone.
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
        }
    }
}

impl Future for SessionTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..ROUNDS {
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
            if this.keep_time(cx) {
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
        // Also on a panic in the upper layer, and when the runtime goes down.
        self.session.end(Reason::TransportClose);
        self.drop_stream();
        self.session.forget();
        self.session.mark_closed();
        self.session.unfinished().fetch_sub(self.held, Ordering::Relaxed);
        self.session.metrics().connections.decrement(1);
    }
}
