//! When a session's task sleeps, and who wakes it for what.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Waker},
};

use parking_lot::MutexGuard;

use super::{Adopted, Session, State};
use crate::{
    engine::{Owned, stream::Sink},
    reason::Reason,
};

/// A task that sleeps.
pub(super) struct Sleeper {
    waker: Waker,
    /// Whether a new frame concerns it: not while its stream is blocked, which will wake it, or while there is none.
    pub(super) wants_frames: bool,
}

/// Who sees to a new frame.
pub(super) enum Call {
    /// Somebody will who knows of it, or will look.
    Nobody,
    Waker(Waker),
    Flusher,
}

/// What the task has to know before it sleeps or acts.
pub(in crate::engine) struct Look {
    pub(in crate::engine) ending: Option<Reason>,
    pub(in crate::engine) adopted: Option<Adopted>,
    pub(in crate::engine) inbox: VecDeque<Owned>,
}

impl Session {
    pub(super) fn call(self: &Arc<Self>, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Waker(waker) => waker.wake(),
            Call::Flusher => {
                if !self.lane.push(Arc::clone(self)) {
                    self.hand_back();
                }
            }
        }
    }

    /// Leaves writing to the session's task: there is no flusher any more.
    pub(in crate::engine) fn hand_back(&self) {
        let mut state = self.state.lock();
        state.queued = false;
        wake_task(state);
    }

    /// Lets the task call [`Connection::poll`](crate::engine::Connection::poll) soon.
    pub(crate) fn nudge(&self) {
        let mut state = self.state.lock();
        state.nudged = true;
        wake_task(state);
    }

    /// The task's turn begins: takes what the polling side left for it; messages only if it `wants` some.
    pub(in crate::engine) fn look(&self, wants: bool) -> Look {
        let mut state = self.state.lock();
        state.sleeper = None;
        let ending = state.ending;
        let Some(polling) = state.polling.as_mut() else {
            return Look {
                ending,
                adopted: None,
                inbox: VecDeque::new(),
            };
        };
        let (inbox, poster) = if wants {
            (std::mem::take(&mut polling.inbox), polling.poster.take())
        } else {
            (VecDeque::new(), None)
        };
        let adopted = polling.adopted.take();
        if adopted.is_some() {
            state.polling = None;
        }
        drop(state);
        if let Some(poster) = poster {
            poster.wake();
        }
        Look {
            ending,
            adopted,
            inbox,
        }
    }

    /// Lets the task sleep, unless something has come in since it looked. `can_write`: its stream is not blocked.
    /// `saturated`: it takes no messages until some are handled.
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
            .is_some_and(|p| (!saturated && !p.inbox.is_empty()) || p.adopted.is_some());
        if std::mem::take(&mut state.nudged) || frames || polled || (state.ending.is_some() && !seen_ending) {
            return false;
        }
        state.saturated = saturated;
        state.sleeper = Some(Sleeper {
            waker: cx.waker().clone(),
            wants_frames: can_write,
        });
        true
    }
}

impl State {
    /// The task, if it sleeps, to be woken.
    pub(super) fn wake(&mut self) -> Option<Waker> {
        self.sleeper.take().map(|sleeper| sleeper.waker)
    }

    /// Who is to be told of a new frame.
    pub(super) fn on_frame(&mut self) -> Call {
        if let Some(polling) = self.polling.as_mut() {
            return polling.getter.take().map_or(Call::Nobody, Call::Waker);
        }
        if self.queued || !self.sleeps_for_frames() {
            return Call::Nobody;
        }
        if self.sink.as_ref().is_some_and(Sink::takes_tries) {
            self.queued = true;
            return Call::Flusher;
        }
        self.wake().map_or(Call::Nobody, Call::Waker)
    }

    /// Does a new frame need somebody to see to it? A task that is awake does so by itself.
    pub(super) fn sleeps_for_frames(&self) -> bool {
        self.sleeper.as_ref().is_some_and(|sleeper| sleeper.wants_frames)
    }
}

/// Wakes the session's task, if it sleeps, once the lock is free.
pub(super) fn wake_task(mut state: MutexGuard<'_, State>) {
    let task = state.wake();
    drop(state);
    task.into_iter().for_each(Waker::wake);
}
