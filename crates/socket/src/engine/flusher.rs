//! Writes to many clients in a few turns. A message to a room of a thousand would otherwise wake a thousand tasks, each
//! of which looks at its timer, its stream and its upper layer, only to find that there is a frame to write. Instead, the
//! sessions that have something to write stand in a list, and one task goes through it.
//!
//! Each session belongs to one of as many lists as the machine has cores, so that all of them write to a large room. One
//! whose stream is blocked, or that has anything else to do, is its own task's business.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread::available_parallelism,
};

use parking_lot::{Mutex, MutexGuard};

use super::session::Session;

/// Sessions written to before others have their turn, and the runtime looks for what has come in.
const CHUNK: usize = 64;
/// A list with place for more gives it back once it is empty.
const KEPT: usize = 16 * 1024;

/// The lists of a server.
pub(super) struct Flusher {
    lanes: Box<[Arc<Lane>]>,
    next: AtomicUsize,
}

/// A list, and the task that goes through it.
#[derive(Default)]
pub(super) struct Lane(Mutex<State>);

#[derive(Default)]
struct State {
    sessions: VecDeque<Arc<Session>>,
    /// The task, when it sleeps.
    task: Option<Waker>,
    /// Is there a task? Not before the first session, and not after the end of the runtime that it ran on.
    runs: bool,
    /// The server is gone.
    over: bool,
}

impl Flusher {
    pub(super) fn new() -> Self {
        let lanes = available_parallelism().map_or(1, usize::from);
        Flusher {
            lanes: (0..lanes).map(|_| Arc::default()).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// A list for a new session.
    pub(super) fn lane(&self) -> Arc<Lane> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let lane = self.lanes.get(next % self.lanes.len().max(1));
        lane.cloned().unwrap_or_default()
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        for lane in &self.lanes {
            lane.end();
        }
    }
}

impl Lane {
    /// Sees to it that the list has a task. Called within a runtime.
    pub(super) fn start(self: &Arc<Self>) {
        if !std::mem::replace(&mut self.0.lock().runs, true) {
            tokio::spawn(run(Turns::new(Arc::clone(self))));
        }
    }

    /// Has the session flushed soon; `false`: there is nobody to do it.
    pub(super) fn push(&self, session: Arc<Session>) -> bool {
        let mut state = self.0.lock();
        if !state.runs {
            return false;
        }
        state.sessions.push_back(session);
        wake_task(state);
        true
    }

    fn end(&self) {
        let mut state = self.0.lock();
        state.over = true;
        wake_task(state);
    }
}

/// Wakes the list's task, if it sleeps, once the lock is free.
fn wake_task(mut state: MutexGuard<'_, State>) {
    let task = state.task.take();
    drop(state);
    task.into_iter().for_each(Waker::wake);
}

async fn run(mut turns: Turns) {
    while turns.next().await {
        let mut flushed = 0;
        while let Some(session) = turns.sessions.pop_front() {
            session.flush();
            flushed += 1;
            if flushed % CHUNK == 0 {
                tokio::task::yield_now().await;
            }
        }
        if turns.sessions.capacity() > KEPT {
            turns.sessions = VecDeque::new();
        }
    }
}

/// What a list's task takes from it, all that is there at a time.
struct Turns {
    lane: Arc<Lane>,
    sessions: VecDeque<Arc<Session>>,
}

impl Turns {
    fn new(lane: Arc<Lane>) -> Self {
        Turns {
            lane,
            sessions: VecDeque::new(),
        }
    }

    /// Waits until there is something; `false`: there will be nothing any more.
    async fn next(&mut self) -> bool {
        let mut patient = true;
        poll_fn(|cx| self.poll_next(cx, &mut patient)).await
    }

    fn poll_next(&mut self, cx: &Context<'_>, patient: &mut bool) -> Poll<bool> {
        let mut state = self.lane.0.lock();
        if state.over {
            return Poll::Ready(false);
        }
        if state.sessions.is_empty() {
            state.task = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // Whoever is ready to run now may have more for the same sessions, and one write carries it all.
        if std::mem::take(patient) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        std::mem::swap(&mut state.sessions, &mut self.sessions);
        Poll::Ready(true)
    }
}

impl Drop for Turns {
    /// Also when the runtime ends, or a flush has panicked: from now on sessions are written to by their own tasks.
    fn drop(&mut self) {
        let mut state = self.lane.0.lock();
        state.runs = false;
        let left = std::mem::take(&mut state.sessions);
        drop(state);
        for session in left.into_iter().chain(self.sessions.drain(..)) {
            session.hand_back();
        }
    }
}
