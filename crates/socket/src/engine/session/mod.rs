//! One Engine.IO session: its send queue and its end. The session's task ([`super::task`]) and the polling
//! requests ([`super::polling`]) share its state under one short lock.

mod delivery_tracker;
mod poll_transport;
mod refusals;
mod task_waker;
mod writing;

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;
use roomful_wire::{
    engine::session::{Heartbeat, HeartbeatAction, TransportState},
    frame::{self, Decoder},
};
use tokio::time::Instant;

pub use self::delivery_tracker::DeliveryMark;
use self::{
    delivery_tracker::DeliveryTracker,
    refusals::{RefusalLimits, WindowCounts},
    task_waker::{TaskWaker, WakeTarget, wake_task},
};
use super::{
    Engine, OwnedMessage,
    flusher::FlushQueue,
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

/// A client's connection over any transport.
pub struct Session {
    id: SessionId,
    engine: Arc<Engine>,
    handshake: Arc<Handshake>,
    /// A synchronous mutex: held for a few field accesses or one non-blocking write, never across an await.
    state: Mutex<State>,
    queue: Arc<FlushQueue<Session>>,
    began: Instant,
    /// Bytes of its unfinished messages.
    unfinished: AtomicUsize,
    /// Whether the upper layer trusts the client with messages of full size.
    established: AtomicBool,
    refused_connects: AtomicU32,
}

struct State {
    transport: TransportState,
    heartbeat: Heartbeat,
    delivery_tracker: DeliveryTracker,
    outbox: Outbox,
    /// The write half of the WebSocket, if there is one.
    sink: Option<Sink>,
    /// Whether the session is in a flush queue.
    queued: bool,
    ending: Option<Reason>,
    /// Waker of the session's task while it sleeps. A task that is awake checks all state before it sleeps
    /// again.
    task_waker: Option<TaskWaker>,
    /// The task has paused reading, so a pong may be unread.
    saturated: bool,
    /// The upper layer has asked for a call of its `poll`.
    poll_requested: bool,
    waiters: Waiters,
    /// Refused events; most clients have none.
    refusals: Option<Box<WindowCounts>>,
    idle_packets: WindowCounts,
    /// State of the polling transport. Dropped after an upgrade.
    polling: Option<Box<Polling>>,
}

/// Tasks that wait in [`Session::poll_room`] or [`Session::poll_closed`]. Usually none.
#[derive(Default)]
struct Waiters {
    wakers: Vec<Waker>,
    /// No more bytes can be sent or received.
    is_closed: bool,
}

#[derive(Default)]
struct Polling {
    /// Messages from POSTs on their way to the task.
    inbox: VecDeque<OwnedMessage>,
    /// A POST that waits for the task to empty the inbox.
    poster: Option<Waker>,
    /// The parked GET.
    getter: Option<Waker>,
    /// Answer the parked GET with a noop, so that an upgrade can continue.
    noop: bool,
    /// The client sent a close packet: its parked GET gets a noop.
    closed_by_client: bool,
    /// The client has received its last answer, so the session can be removed.
    close_delivered: bool,
    /// The WebSocket that takes the session over.
    upgraded: Option<UpgradedStream>,
}

/// A WebSocket that has completed its upgrade, with the bytes read ahead.
pub(super) struct UpgradedStream {
    pub(super) stream: Stream,
    pub(super) decoder: Decoder,
    pub(super) read_ahead: Vec<u8>,
}

/// The answer to a parked GET.
pub(super) enum Answer {
    Frames(Batch),
    Noop,
    /// The end, once nothing waits any more: a close packet.
    Close,
    /// A temporary end: the request is cut without a response.
    Cut,
}

impl Session {
    /// Must be called within a runtime.
    pub(super) fn new(engine: Arc<Engine>, handshake: Handshake, transport: TransportState) -> Arc<Session> {
        let began = Instant::now();
        let heartbeat = Heartbeat::new(began.into_std(), engine.settings.heartbeat);
        let queue = engine.flusher.queue();
        queue.start();
        let state = State {
            transport,
            heartbeat,
            delivery_tracker: DeliveryTracker::default(),
            outbox: Outbox::default(),
            sink: None,
            queued: false,
            ending: None,
            task_waker: None,
            saturated: false,
            poll_requested: false,
            waiters: Waiters::default(),
            refusals: None,
            idle_packets: WindowCounts::new(Instant::now()),
            polling: transport.is_polling().then(Box::default),
        };
        Arc::new(Session {
            id: SessionId::random(),
            engine,
            handshake: Arc::new(handshake),
            state: Mutex::new(state),
            queue,
            began,
            unfinished: AtomicUsize::new(0),
            established: AtomicBool::new(true),
            refused_connects: AtomicU32::new(0),
        })
    }

    /// The secret id. Never show it to another client.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The client's address: that of the peer, or the one a trusted proxy named.
    pub fn address(&self) -> IpAddr {
        self.handshake.address
    }

    /// The HTTP request that opened the session.
    pub fn handshake(&self) -> &Arc<Handshake> {
        &self.handshake
    }

    /// Whether the session is open, so that a frame may still reach the client.
    pub fn is_open(&self) -> bool {
        self.state.lock().ending.is_none()
    }

    pub(super) fn has_ended_for(&self, reason: Reason) -> bool {
        self.state.lock().ending == Some(reason)
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
                let wake_target = state.on_frame();
                drop(state);
                metrics.packets_out.increment(1);
                self.wake_target(wake_target);
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

    /// The bytes that wait for the transport.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.state.lock().outbox.bytes()
    }

    /// Whether the outbox is at most half full, or the session has ended.
    pub(crate) fn has_room(&self) -> bool {
        self.state.lock().has_room(self.engine.bounds())
    }

    /// Ready when the outbox is at most half full, or the session has ended.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.has_room(self.engine.bounds()) {
            return Poll::Ready(());
        }
        state.wait(cx)
    }

    /// Ready when no more bytes can be sent or received. An ending session still flushes its outbox first.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.waiters.is_closed {
            return Poll::Ready(());
        }
        state.wait(cx)
    }

    /// Marks the session closed: no more bytes can be sent or received.
    pub(super) fn mark_closed(&self) {
        let mut state = self.state.lock();
        state.waiters.is_closed = true;
        let mut waiting = std::mem::take(&mut state.waiters.wakers);
        waiting.extend(state.polling.as_mut().and_then(|polling| polling.getter.take()));
        drop(state);
        wake_all(waiting);
    }

    /// Ends the session. The reason decides whether the client reconnects. Only the first call has an
    /// effect.
    pub fn close(&self, reason: Reason) {
        self.end(reason);
    }

    pub(crate) fn end(&self, reason: Reason) {
        let mut state = self.state.lock();
        if state.ending.is_some() {
            drop(state);
            // A session that waits for a last poll gets less time when the server shuts down.
            if reason == Reason::ServerShuttingDown {
                self.request_poll();
            }
            return;
        }
        state.ending = Some(reason);
        if !reason.flushes() {
            state.outbox.drop_queued();
        }
        if reason.is_temporary() && reason.lingers() {
            state.queue_final_ping();
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

    // ---- limits

    /// Bytes of the session's unfinished messages.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished.load(Ordering::Relaxed)
    }

    /// Replaces the unfinished bytes of one holder, the task or a POST body.
    pub(super) fn change_unfinished(&self, before: usize, after: usize) {
        if before != after {
            self.unfinished
                .fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
            self.engine.change_unfinished(self.address(), before, after);
        }
    }

    /// Sets whether the client may send messages of full size. Until then `max_early_payload` applies.
    pub(crate) fn set_established(&self, established: bool) {
        self.established.store(established, Ordering::Relaxed);
    }

    pub(super) fn is_established(&self) -> bool {
        self.established.load(Ordering::Relaxed)
    }

    /// Longest message, in bytes, that the client may send now.
    pub(crate) fn max_message(&self) -> usize {
        let settings = &self.engine.settings;
        if self.is_established() {
            settings.max_payload
        } else {
            settings.max_early_payload.min(settings.max_payload)
        }
    }

    pub(super) fn frame_limits(&self) -> frame::Limits {
        frame::Limits {
            max_message: self.max_message(),
            max_fragments: self.engine.settings.max_fragments,
        }
    }

    /// Sends a `CONNECT_ERROR`, and ends the session after too many.
    pub(crate) fn refuse_connect(self: &Arc<Self>, error: &Prepared) {
        self.engine.metrics.refused_connects.increment(1);
        self.send(error, Class::Durable);
        let refused = self.refused_connects.fetch_add(1, Ordering::Relaxed) + 1;
        if refused >= self.engine.settings.max_refused_connects {
            self.end(Reason::TooManyRefusals);
        }
    }

    /// See [`crate::Socket::count_refused`].
    pub(crate) fn count_refused(&self, bytes: usize) {
        let (now, limits) = (Instant::now(), self.refusal_limits());
        let mut state = self.state.lock();
        let refusals = state
            .refusals
            .get_or_insert_with(|| Box::new(WindowCounts::new(now)));
        let exceeded = refusals.record(now, bytes, limits);
        drop(state);
        self.engine.metrics.refused_events.increment(1);
        self.engine.metrics.refused_bytes.increment(bytes as u64);
        if exceeded {
            self.end(Reason::TooManyRefusals);
        }
    }

    /// Counts a packet without an event. Ends the session after too many of them.
    pub(crate) fn count_idle_packet(&self) {
        let (now, limits) = (Instant::now(), self.refusal_limits());
        if self.state.lock().idle_packets.record(now, 0, limits) {
            self.end(Reason::TooManyRefusals);
        }
    }

    fn refusal_limits(&self) -> RefusalLimits {
        let settings = &self.engine.settings;
        RefusalLimits {
            window: settings.refusal_window,
            events: settings.max_refused_events,
            bytes: settings.max_refused_bytes,
        }
    }

    /// Sends a ping or ends the session if it is time to. Returns when to check again. Requests call it
    /// too, since a timer may be late.
    pub(super) fn check_heartbeat(self: &Arc<Self>) -> Instant {
        let now = Instant::now();
        let heartbeat = self.engine.settings.heartbeat;
        let mut state = self.state.lock();
        if state.ending.is_some() {
            // Another ping would confuse the pongs due to the final ping.
            return now + heartbeat.interval;
        }
        let beat = state.heartbeat.poll(now.into_std(), heartbeat);
        // A pong may arrive at any time and move the next ping to one interval later.
        let next = state.heartbeat.next().min((now + heartbeat.interval).into_std());
        let mut wake_target = WakeTarget::None;
        if beat == HeartbeatAction::Ping && !state.outbox.is_next(&PING) {
            let provable = state.outbox.is_empty();
            state.delivery_tracker.ping(provable);
            state.outbox.push_front(PING);
            wake_target = state.on_frame();
        }
        // While the server does not read, it cannot see the client's pong.
        let timed_out = beat == HeartbeatAction::TimedOut && !state.saturated;
        drop(state);
        self.wake_target(wake_target);
        if timed_out {
            self.end(Reason::PingTimeout);
        }
        next.into()
    }

    pub(super) fn pong(&self) {
        let now = Instant::now().into_std();
        let mut state = self.state.lock();
        if state.ending.is_some() {
            state.delivery_tracker.final_pong();
            let getter = state.polling.as_mut().and_then(|polling| polling.getter.take());
            wake_task(state);
            getter.into_iter().for_each(Waker::wake);
        } else if state.heartbeat.pong(now, self.engine.settings.heartbeat) {
            state.delivery_tracker.pong();
        }
    }

    /// Whether the pong to the final ping is still due.
    pub(super) fn awaits_final_pong(&self) -> bool {
        self.state.lock().delivery_tracker.awaits_final_pong()
    }

    /// The client has closed the connection, or has answered our close.
    pub(crate) fn note_client_close(&self) {
        let mut state = self.state.lock();
        if state.outbox.is_empty() {
            state.delivery_tracker.note_client_close(self.began.elapsed());
        }
    }

    /// The client has sent its first own packet.
    pub(crate) fn note_first_packet(&self) {
        self.state
            .lock()
            .delivery_tracker
            .note_first_packet(self.began.elapsed());
    }

    /// See [`crate::Socket::delivery_mark`].
    pub(crate) fn delivery_mark(&self) -> DeliveryMark {
        self.state.lock().delivery_tracker.mark(self.began.elapsed())
    }

    /// See [`crate::Socket::is_delivered`].
    pub(crate) fn is_delivered(&self, mark: DeliveryMark) -> bool {
        self.state.lock().delivery_tracker.is_delivered(mark)
    }

    /// Whether the server is closing.
    pub(super) fn is_server_closing(&self) -> bool {
        self.engine.registry.is_closing()
    }

    /// Whether a polling client has received its last answer, or there is none to send.
    pub(super) fn close_delivered(&self) -> bool {
        self.state
            .lock()
            .polling
            .as_ref()
            .is_none_or(|polling| polling.close_delivered)
    }

    /// Removes the session from the registry, so that no request finds it.
    pub(super) fn forget(&self) {
        self.engine.registry.remove(self.id);
    }
}

impl State {
    /// Queues a last ping behind all other frames of a session that ends temporarily.
    fn queue_final_ping(&mut self) {
        let outstanding = self.heartbeat.awaits_pong();
        self.delivery_tracker.final_ping(outstanding);
        self.outbox.push_last(PING);
    }

    /// Whether a frame could leave at once.
    fn is_ready(&self) -> bool {
        if self.transport.is_polling() {
            return self
                .polling
                .as_ref()
                .is_some_and(|polling| polling.getter.is_some());
        }
        // The task is awake and writes, or sleeps while its stream is writable.
        self.task_waker
            .as_ref()
            .is_none_or(|task_waker| task_waker.wants_frames)
    }

    fn wait(&mut self, cx: &Context<'_>) -> Poll<()> {
        let waiting = &mut self.waiters.wakers;
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn has_room(&self, bounds: Bounds) -> bool {
        self.ending.is_some() || self.outbox.has_room(bounds)
    }

    /// The wakers to call after frames have left the outbox.
    fn on_room(&mut self, bounds: Bounds) -> Vec<Waker> {
        if !self.waiters.wakers.is_empty() && self.has_room(bounds) {
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
