//! The sleep and wake-up of a session's task.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Waker},
};

use parking_lot::MutexGuard;

use super::{Session, State, UpgradedStream};
use crate::{
    engine::{OwnedMessage, flusher::Flush, stream::Sink},
    reason::Reason,
};

/// The waker of a sleeping task.
pub(super) struct TaskWaker {
    waker: Waker,
    /// Whether a new frame wakes the task. False while its stream is blocked (the stream wakes it) or
    /// missing.
    pub(super) wants_frames: bool,
}

/// Who handles a new frame.
pub(super) enum WakeTarget {
    /// A task that is already awake or will check anyway.
    None,
    Waker(Waker),
    Flusher,
}

/// State that the task takes at the start of its turn.
pub(in crate::engine) struct TaskInput {
    pub(in crate::engine) ending: Option<Reason>,
    pub(in crate::engine) upgraded: Option<UpgradedStream>,
    pub(in crate::engine) inbox: VecDeque<OwnedMessage>,
}

impl Session {
    pub(super) fn wake_target(self: &Arc<Self>, wake_target: WakeTarget) {
        match wake_target {
            WakeTarget::None => {}
            WakeTarget::Waker(waker) => waker.wake(),
            WakeTarget::Flusher => {
                if !self.queue.push(Arc::clone(self)) {
                    self.return_to_task();
                }
            }
        }
    }

    /// Makes the task call [`Connection::poll`](crate::engine::Connection::poll) soon.
    pub(crate) fn request_poll(&self) {
        let mut state = self.state.lock();
        state.poll_requested = true;
        wake_task(state);
    }

    /// Starts the task's turn: takes the input from the polling side, with messages only if it `wants`
    /// them.
    pub(in crate::engine) fn take_input(&self, wants: bool) -> TaskInput {
        let mut state = self.state.lock();
        state.task_waker = None;
        let ending = state.ending;
        let Some(polling) = state.polling.as_mut() else {
            return TaskInput {
                ending,
                upgraded: None,
                inbox: VecDeque::new(),
            };
        };
        let (inbox, poster) = if wants {
            (std::mem::take(&mut polling.inbox), polling.poster.take())
        } else {
            (VecDeque::new(), None)
        };
        let upgraded = polling.upgraded.take();
        if upgraded.is_some() {
            state.polling = None;
        }
        drop(state);
        if let Some(poster) = poster {
            poster.wake();
        }
        TaskInput {
            ending,
            upgraded,
            inbox,
        }
    }

    /// Puts the task to sleep unless input has arrived since it checked. `can_write`: its stream is not
    /// blocked. `saturated`: it takes no messages for now.
    pub(in crate::engine) fn sleep(
        &self,
        cx: &Context<'_>,
        can_write: bool,
        saturated: bool,
        seen_ending: bool,
    ) -> bool {
        let mut state = self.state.lock();
        let frames = can_write && !state.outbox.is_empty();
        let polled = state
            .polling
            .as_ref()
            .is_some_and(|p| (!saturated && !p.inbox.is_empty()) || p.upgraded.is_some());
        if std::mem::take(&mut state.poll_requested)
            || frames
            || polled
            || (state.ending.is_some() && !seen_ending)
        {
            return false;
        }
        state.saturated = saturated;
        state.task_waker = Some(TaskWaker {
            waker: cx.waker().clone(),
            wants_frames: can_write,
        });
        true
    }
}

impl State {
    /// Takes the waker of a sleeping task.
    pub(super) fn wake(&mut self) -> Option<Waker> {
        self.task_waker.take().map(|task_waker| task_waker.waker)
    }

    /// Decides who handles a new frame.
    pub(super) fn on_frame(&mut self) -> WakeTarget {
        if let Some(polling) = self.polling.as_mut() {
            return polling.getter.take().map_or(WakeTarget::None, WakeTarget::Waker);
        }
        if self.queued || !self.sleeps_for_frames() {
            return WakeTarget::None;
        }
        if self.sink.as_ref().is_some_and(Sink::takes_tries) {
            self.queued = true;
            return WakeTarget::Flusher;
        }
        self.wake().map_or(WakeTarget::None, WakeTarget::Waker)
    }

    /// Whether a new frame needs a wake-up. A task that is awake finds it by itself.
    pub(super) fn sleeps_for_frames(&self) -> bool {
        self.task_waker
            .as_ref()
            .is_some_and(|task_waker| task_waker.wants_frames)
    }
}

/// Releases the lock, then wakes the sleeping task.
pub(super) fn wake_task(mut state: MutexGuard<'_, State>) {
    let task = state.wake();
    drop(state);
    task.into_iter().for_each(Waker::wake);
}
