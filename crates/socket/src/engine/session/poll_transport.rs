//! The session's side of polling requests and of a probing WebSocket.

use std::task::{Context, Poll, Waker};

use roomful_wire::engine::session::TransportConflict;

use super::{Answer, Session, UpgradedStream, task_waker::wake_task, wake_all};
use crate::{engine::OwnedMessage, reason::Reason};

impl Session {
    pub(crate) fn is_polling(&self) -> bool {
        self.state.lock().transport.is_polling()
    }

    pub(in crate::engine) fn open_get(&self) -> Result<(), TransportConflict> {
        self.state.lock().transport.open_get()
    }

    pub(in crate::engine) fn open_post(&self) -> Result<(), TransportConflict> {
        self.state.lock().transport.open_post()
    }

    pub(in crate::engine) fn close_post(&self) {
        self.state.lock().transport.close_post();
    }

    /// The answer to the open GET, once there is one.
    pub(in crate::engine) fn poll_answer(&self, cx: &Context<'_>) -> Poll<Answer> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Some(polling) = state.polling.as_mut() else {
            // The WebSocket took the session over while this GET was parked.
            return Poll::Ready(Answer::Noop);
        };
        // The stock client handles a close packet before the events of the same answer, and would count
        // these as events of its next session. So the frames leave first, and the end follows with the next
        // GET.
        let has_frames = !state.outbox.is_empty() && !polling.closed_by_client;
        if let Some(reason) = state.ending
            && !has_frames
        {
            let answer = match reason {
                _ if polling.closed_by_client => Answer::Noop,
                reason if !reason.is_temporary() => Answer::Close,
                _ if state.delivery_tracker.awaits_final_pong() && !state.waiters.is_closed => {
                    polling.getter = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                _ => Answer::Cut,
            };
            polling.close_delivered = true;
            state.outbox.clear();
            wake_task(guard);
            return Poll::Ready(answer);
        }
        if !state.outbox.is_empty() && polling.upgraded.is_none() {
            let frames = state.outbox.take();
            polling.noop = false;
            state.transport.close_get();
            let waiting = state.on_room(self.engine.bounds());
            drop(guard);
            wake_all(waiting);
            return Poll::Ready(Answer::Frames(frames));
        }
        if polling.noop || polling.upgraded.is_some() {
            polling.noop = false;
            state.transport.close_get();
            return Poll::Ready(Answer::Noop);
        }
        polling.getter = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Hands the messages of a POST to the task once it has taken the previous ones. A client that posts
    /// faster than its events are handled waits.
    pub(in crate::engine) fn poll_deliver(
        &self,
        cx: &Context<'_>,
        messages: &mut Vec<OwnedMessage>,
    ) -> Poll<()> {
        let mut state = self.state.lock();
        if state.ending.is_some() || messages.is_empty() {
            return Poll::Ready(());
        }
        let Some(polling) = state.polling.as_mut() else {
            return Poll::Ready(());
        };
        if !polling.inbox.is_empty() {
            polling.poster = Some(cx.waker().clone());
            return Poll::Pending;
        }
        polling.inbox.extend(messages.drain(..));
        wake_task(state);
        Poll::Ready(())
    }

    /// Handles a close packet from a POST.
    pub(in crate::engine) fn closed_by_client(&self) {
        if let Some(polling) = self.state.lock().polling.as_mut() {
            polling.closed_by_client = true;
        }
        self.note_client_close();
        self.end(Reason::TransportClose);
    }

    pub(in crate::engine) fn begin_probe(&self) -> Result<(), TransportConflict> {
        self.state.lock().transport.begin_probe()
    }

    pub(in crate::engine) fn abandon_probe(&self) {
        self.state.lock().transport.abandon_probe();
    }

    /// Answers a parked GET with a noop, so that the client can stop polling and complete its upgrade.
    pub(in crate::engine) fn release_get(&self) {
        let mut state = self.state.lock();
        let Some(polling) = state.polling.as_mut() else {
            return;
        };
        polling.noop = true;
        let getter = polling.getter.take();
        drop(state);
        if let Some(getter) = getter {
            getter.wake();
        }
    }

    /// Moves the session to the upgraded WebSocket. `Err` returns it if the session has ended meanwhile.
    pub(in crate::engine) fn take_over(&self, upgraded: UpgradedStream) -> Result<(), UpgradedStream> {
        let mut state = self.state.lock();
        if state.ending.is_some() {
            return Err(upgraded);
        }
        let Some(polling) = state.polling.as_mut() else {
            return Err(upgraded);
        };
        polling.upgraded = Some(upgraded);
        let getter = polling.getter.take();
        state.transport.complete_upgrade();
        let task = state.wake();
        drop(state);
        self.engine.metrics.upgraded.increment(1);
        task.into_iter().chain(getter).for_each(Waker::wake);
        Ok(())
    }
}
