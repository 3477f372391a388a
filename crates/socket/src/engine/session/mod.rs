//! One Engine.IO session as others see it: a place to put frames for the client, and a switch to end it. The
//! session's task ([`super::task`]) and the polling requests ([`super::polling`]) meet here, under one short lock.

mod beats;
mod polling;
mod sleeper;
mod writing;

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, atomic::AtomicUsize},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;
use roomful_wire::{
    engine::session::{Beat, Heartbeat, Link},
    frame::Decoder,
};
use tokio::time::Instant;

pub use self::beats::SentMark;
use self::{
    beats::Beats,
    sleeper::{Call, Sleeper},
};
use super::{
    Engine, Owned,
    flusher::Lane,
    stream::{Sink, Stream},
};
use crate::{
    handshake::Handshake,
    id::SessionId,
    metrics::Metrics,
    outbox::{Batch, Bounds, Class, Outbox, Overflow, Pushed, Sent},
    prepared::Prepared,
    reason::Reason,
    settings::Settings,
};

/// A WebSocket text frame with an Engine.IO ping.
const PING: Bytes = Bytes::from_static(b"\x81\x012");

/// One client's connection, whatever carries it.
pub struct Session {
    id: SessionId,
    engine: Arc<Engine>,
    handshake: Arc<Handshake>,
    /// Not an async mutex: it is held for a few field accesses or one write that does not block, and never across an await.
    state: Mutex<State>,
    lane: Arc<Lane>,
    began: Instant,
}

struct State {
    link: Link,
    heartbeat: Heartbeat,
    beats: Beats,
    outbox: Outbox,
    /// Where the outbox goes, while there is a WebSocket.
    sink: Option<Sink>,
    /// Stands in a flusher's list.
    queued: bool,
    ending: Option<Reason>,
    /// The session's task, while it sleeps. Otherwise it has its turn or will have one, and looks at all there is before
    /// it sleeps again.
    sleeper: Option<Sleeper>,
    /// The task does not read: a pong may lie unread.
    saturated: bool,
    /// The upper layer wants the task to look at it.
    nudged: bool,
    waiters: Waiters,
    /// What only polling needs; gone after an upgrade.
    polling: Option<Box<Polling>>,
}

/// Who waits for room in the outbox or for the end, see [`Session::poll_room`] and [`Session::poll_over`]. Nearly always
/// nobody.
#[derive(Default)]
struct Waiters {
    wakers: Vec<Waker>,
    /// Nothing comes or goes any more.
    over: bool,
}

#[derive(Default)]
struct Polling {
    /// Messages from POSTs, on their way to the task.
    inbox: VecDeque<Owned>,
    /// A POST that waits for the task to take what is in the inbox.
    poster: Option<Waker>,
    /// The parked GET.
    getter: Option<Waker>,
    /// The parked GET should be answered with a noop, so that an upgrade can go on.
    noop: bool,
    /// The client said goodbye itself: its parked GET gets a noop, not a close packet.
    closed_by_client: bool,
    /// The last answer went out; the session may be forgotten.
    said_goodbye: bool,
    /// The WebSocket that takes over.
    adopted: Option<Adopted>,
}

/// A WebSocket that has completed its upgrade, with what was read ahead on it.
pub(super) struct Adopted {
    pub(super) stream: Stream,
    pub(super) decoder: Decoder,
    pub(super) read_ahead: Vec<u8>,
}

/// What a parked GET is answered with.
pub(super) enum Answer {
    Frames(Batch),
    Noop,
    /// The end, once nothing waits any more: a close packet.
    Close,
}

impl Session {
    /// Made within a runtime.
    pub(super) fn new(engine: Arc<Engine>, handshake: Handshake, link: Link) -> Arc<Session> {
        let began = Instant::now();
        let heartbeat = Heartbeat::new(began.into_std(), engine.settings.rhythm);
        let lane = engine.flusher.lane();
        lane.start();
        let state = State {
            link,
            heartbeat,
            beats: Beats::default(),
            outbox: Outbox::default(),
            sink: None,
            queued: false,
            ending: None,
            sleeper: None,
            saturated: false,
            nudged: false,
            waiters: Waiters::default(),
            polling: link.is_polling().then(Box::default),
        };
        Arc::new(Session {
            id: SessionId::random(),
            engine,
            handshake: Arc::new(handshake),
            state: Mutex::new(state),
            lane,
            began,
        })
    }

    /// The secret id. Never show it to another client.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The client's address: the peer's, or what a trusted proxy said.
    pub fn address(&self) -> IpAddr {
        self.handshake.address
    }

    /// The HTTP request that opened the session.
    pub fn handshake(&self) -> &Arc<Handshake> {
        &self.handshake
    }

    /// Is the session open, that is: may a frame still reach the client?
    pub fn is_open(&self) -> bool {
        self.state.lock().ending.is_none()
    }

    /// Queues a message for the client.
    pub fn send(self: &Arc<Self>, message: &Prepared, class: Class) -> Sent {
        let metrics = &self.engine.metrics;
        let mut state = self.state.lock();
        if state.ending.is_some() {
            return Sent::Closed;
        }
        if class == Class::Volatile && !state.is_ready() {
            metrics.dropped_volatile.increment(1);
            return Sent::Dropped;
        }
        match state.outbox.push(message.frame(), class, self.engine.bounds()) {
            Ok(Pushed::Queued) => {
                let call = state.on_frame();
                drop(state);
                metrics.packets_out.increment(1);
                self.call(call);
                Sent::Queued
            }
            Ok(Pushed::Replaced) => {
                metrics.superseded.increment(1);
                Sent::Queued
            }
            Ok(Pushed::Dropped) => {
                let counter = if class == Class::Volatile {
                    &metrics.dropped_volatile
                } else {
                    &metrics.superseded
                };
                counter.increment(1);
                Sent::Dropped
            }
            Err(Overflow) => {
                drop(state);
                self.end(Reason::SlowConsumer);
                Sent::Closed
            }
        }
    }

    /// Ready when at most half of what may wait for the client does, or the session has ended.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.ending.is_some() || state.outbox.has_room(self.engine.bounds()) {
            return Poll::Ready(());
        }
        state.wait(cx)
    }

    /// Ready when nothing comes or goes any more: a session that the server ends still sends what waits, and hears the
    /// client's goodbye.
    pub(crate) fn poll_over(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.waiters.over {
            return Poll::Ready(());
        }
        state.wait(cx)
    }

    /// Nothing comes or goes any more.
    pub(super) fn over(&self) {
        let mut state = self.state.lock();
        state.waiters.over = true;
        let waiting = std::mem::take(&mut state.waiters.wakers);
        drop(state);
        wake_all(waiting);
    }

    /// Ends the session. The stock client reconnects, whatever the reason. Only the first call counts.
    pub fn close(&self, reason: Reason) {
        self.end(reason);
    }

    pub(crate) fn end(&self, reason: Reason) {
        let mut state = self.state.lock();
        if state.ending.is_some() {
            drop(state);
            // It may still wait for a last poll. A server that goes down has less patience.
            if reason == Reason::ServerShuttingDown {
                self.nudge();
            }
            return;
        }
        state.ending = Some(reason);
        if !reason.flushes() {
            state.outbox.drop_waiting();
        }
        let forget = state.polling.is_none() || !reason.lingers();
        let wakers = [
            state.wake(),
            state.polling.as_mut().and_then(|polling| polling.getter.take()),
        ];
        let poster = state.polling.as_mut().and_then(|polling| polling.poster.take());
        let waiting = std::mem::take(&mut state.waiters.wakers);
        drop(state);
        wake_all(waiting);
        if forget {
            self.engine.registry.remove(self.id);
        }
        self.engine.metrics.closed(reason);
        wakers.into_iter().flatten().chain(poster).for_each(Waker::wake);
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.engine.settings
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.engine.metrics
    }

    /// The process's sum of unfinished bytes.
    pub(super) fn unfinished(&self) -> &AtomicUsize {
        &self.engine.unfinished
    }

    // ---- the heartbeat

    /// Pings, or ends the session, if it is time to; gives back when to look again. Asked on requests too, since a
    /// timer may be late.
    pub(super) fn check_heartbeat(self: &Arc<Self>) -> Instant {
        let now = Instant::now();
        let rhythm = self.engine.settings.rhythm;
        let mut state = self.state.lock();
        let beat = state.heartbeat.poll(now.into_std(), rhythm);
        // A pong may come at any moment and make the next ping due one interval later.
        let next = state.heartbeat.next().min((now + rhythm.interval).into_std());
        let mut call = Call::Nobody;
        if beat == Beat::Ping && !state.outbox.begins_with(&PING) {
            let clear = state.outbox.is_empty();
            state.beats.ping(clear);
            state.outbox.push_front(PING);
            call = state.on_frame();
        }
        // Who is not read from can't be blamed for silence.
        let timed_out = beat == Beat::TimedOut && !state.saturated;
        drop(state);
        self.call(call);
        if timed_out {
            self.end(Reason::PingTimeout);
        }
        next.into()
    }

    pub(super) fn pong(&self) {
        let now = Instant::now().into_std();
        let mut state = self.state.lock();
        if state.heartbeat.pong(now, self.engine.settings.rhythm) {
            state.beats.pong();
        }
    }

    /// The client says goodbye, or answers ours.
    pub(crate) fn farewell(&self) {
        let mut state = self.state.lock();
        if state.outbox.is_empty() {
            state.beats.farewell(self.began.elapsed());
        }
    }

    /// Something came from the client that it says of itself.
    pub(crate) fn heard(&self) {
        self.state.lock().beats.heard(self.began.elapsed());
    }

    /// See [`crate::Socket::sent_mark`].
    pub(crate) fn sent_mark(&self) -> SentMark {
        self.state.lock().beats.mark(self.began.elapsed())
    }

    /// See [`crate::Socket::has_reached`].
    pub(crate) fn has_reached(&self, mark: SentMark) -> bool {
        self.state.lock().beats.has_reached(mark)
    }

    /// Whether the server goes down.
    pub(super) fn is_server_closing(&self) -> bool {
        self.engine.registry.is_closing()
    }

    /// Did a polling client get its last answer (or is there none to give)?
    pub(super) fn said_goodbye(&self) -> bool {
        self.state
            .lock()
            .polling
            .as_ref()
            .is_none_or(|polling| polling.said_goodbye)
    }

    /// The client's own WebSocket carries the session no more, or never will again.
    pub(super) fn forget(&self) {
        self.engine.registry.remove(self.id);
    }
}

impl State {
    /// Could a frame leave at once?
    fn is_ready(&self) -> bool {
        if self.link.is_polling() {
            return self
                .polling
                .as_ref()
                .is_some_and(|polling| polling.getter.is_some());
        }
        // The task is either awake and writing, or asleep with a stream that takes more.
        self.sleeper.as_ref().is_none_or(|sleeper| sleeper.wants_frames)
    }

    fn wait(&mut self, cx: &Context<'_>) -> Poll<()> {
        let waiting = &mut self.waiters.wakers;
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Who is to be woken now that something has left the outbox.
    fn on_room(&mut self, bounds: Bounds) -> Vec<Waker> {
        if !self.waiters.wakers.is_empty() && self.outbox.has_room(bounds) {
            std::mem::take(&mut self.waiters.wakers)
        } else {
            Vec::new()
        }
    }
}

fn wake_all(waiting: Vec<Waker>) {
    waiting.into_iter().for_each(Waker::wake);
}

impl Engine {
    fn bounds(&self) -> Bounds {
        Bounds {
            bytes: self.settings.outbox_bytes,
            frames: self.settings.outbox_frames,
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
