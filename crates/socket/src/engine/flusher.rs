//! Batched writes to many clients. A message to a room of a thousand members would otherwise wake a
//! thousand session tasks, each of which would check its timer, stream and upper layer only to write one
//! frame. Instead, sessions with queued frames enter a flush queue, and one task per queue writes for them.
//!
//! There is one queue per core, and each session belongs to one of them. A session whose stream is blocked,
//! or that has other work, is left to its own task.

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
use roomful_supervisor::catch_sync;

/// Sessions to write before the worker yields to the runtime.
const CHUNK: usize = 64;
/// A queue with more capacity than this is freed once it is empty.
const KEEP_CAPACITY: usize = 16 * 1024;

/// A session as its flush queue sees it.
pub(super) trait Flush: Send + Sync + 'static {
    /// Writes the queued frames without blocking.
    fn flush(&self);

    /// Leaves the queued frames to the session's own task.
    fn return_to_task(&self);
}

/// The flush queues of a server.
pub(super) struct Flusher<S: Flush> {
    queues: Box<[Arc<FlushQueue<S>>]>,
    next: AtomicUsize,
}

/// A queue of sessions with frames to write, and the task that serves it.
pub(super) struct FlushQueue<S: Flush>(Mutex<State<S>>);

struct State<S> {
    sessions: VecDeque<Arc<S>>,
    /// Waker of the task while it sleeps.
    task: Option<Waker>,
    /// Whether a task serves the queue: false before the first session and after its runtime has ended.
    has_task: bool,
    /// Set when the server is dropped.
    server_gone: bool,
}

impl<S> Default for State<S> {
    fn default() -> Self {
        State {
            sessions: VecDeque::new(),
            task: None,
            has_task: false,
            server_gone: false,
        }
    }
}

impl<S: Flush> Default for FlushQueue<S> {
    fn default() -> Self {
        FlushQueue(Mutex::default())
    }
}

impl<S: Flush> Flusher<S> {
    pub(super) fn new() -> Self {
        let queues = available_parallelism().map_or(1, usize::from);
        Flusher {
            queues: (0..queues).map(|_| Arc::default()).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// The queue for a new session.
    pub(super) fn queue(&self) -> Arc<FlushQueue<S>> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let queue = self.queues.get(next % self.queues.len().max(1));
        queue.cloned().unwrap_or_default()
    }
}

impl<S: Flush> Drop for Flusher<S> {
    fn drop(&mut self) {
        for queue in &self.queues {
            queue.end();
        }
    }
}

impl<S: Flush> FlushQueue<S> {
    /// Starts the task if none runs. Must be called within a runtime.
    pub(super) fn start(self: &Arc<Self>) {
        if !std::mem::replace(&mut self.0.lock().has_task, true) {
            tokio::spawn(run(Worker::new(Arc::clone(self))));
        }
    }

    /// Queues the session to be flushed. `false` if no task serves the queue.
    pub(super) fn push(&self, session: Arc<S>) -> bool {
        let mut state = self.0.lock();
        if !state.has_task {
            return false;
        }
        state.sessions.push_back(session);
        wake_task(state);
        true
    }

    fn end(&self) {
        let mut state = self.0.lock();
        state.server_gone = true;
        wake_task(state);
    }
}

/// Releases the lock, then wakes the sleeping task.
fn wake_task<S>(mut state: MutexGuard<'_, State<S>>) {
    let task = state.task.take();
    drop(state);
    task.into_iter().for_each(Waker::wake);
}

async fn run<S: Flush>(mut worker: Worker<S>) {
    while worker.next().await {
        let mut flushed = 0;
        while let Some(session) = worker.sessions.pop_front() {
            // The worker serves many sessions: one that panics must not stop the writes of the others.
            if catch_sync("flusher", || session.flush()).is_err() {
                session.return_to_task();
            }
            flushed += 1;
            if flushed % CHUNK == 0 {
                tokio::task::yield_now().await;
            }
        }
        if worker.sessions.capacity() > KEEP_CAPACITY {
            worker.sessions = VecDeque::new();
        }
    }
}

/// The task's side: the queue and the sessions taken from it.
struct Worker<S: Flush> {
    queue: Arc<FlushQueue<S>>,
    sessions: VecDeque<Arc<S>>,
}

impl<S: Flush> Worker<S> {
    fn new(queue: Arc<FlushQueue<S>>) -> Self {
        Worker {
            queue,
            sessions: VecDeque::new(),
        }
    }

    /// Waits for sessions. `false` once the server is gone.
    async fn next(&mut self) -> bool {
        let mut first_look = true;
        poll_fn(|cx| self.poll_next(cx, &mut first_look)).await
    }

    fn poll_next(&mut self, cx: &Context<'_>, first_look: &mut bool) -> Poll<bool> {
        let mut state = self.queue.0.lock();
        if state.server_gone {
            return Poll::Ready(false);
        }
        if state.sessions.is_empty() {
            state.task = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // Tasks that are ready to run may queue more frames for the same sessions. One write then carries
        // them all.
        if std::mem::take(first_look) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        std::mem::swap(&mut state.sessions, &mut self.sessions);
        Poll::Ready(true)
    }
}

impl<S: Flush> Drop for Worker<S> {
    /// Hands the remaining sessions to their own tasks, also if the runtime ends or a flush panics.
    fn drop(&mut self) {
        let mut state = self.queue.0.lock();
        state.has_task = false;
        let left = std::mem::take(&mut state.sessions);
        drop(state);
        for session in left.into_iter().chain(self.sessions.drain(..)) {
            session.return_to_task();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Done {
        Flushed,
        Returned,
    }

    struct FakeSession {
        panics: bool,
        done: mpsc::Sender<Done>,
    }

    impl Flush for FakeSession {
        fn flush(&self) {
            assert!(!self.panics, "a flush that panics");
            self.done.try_send(Done::Flushed).unwrap();
        }

        fn return_to_task(&self) {
            self.done.try_send(Done::Returned).unwrap();
        }
    }

    #[tokio::test]
    async fn a_session_that_panics_goes_to_its_own_task_and_the_worker_flushes_the_others() {
        let queue = Arc::new(FlushQueue::default());
        queue.start();
        let (done, mut results) = mpsc::channel(2);
        for panics in [true, false] {
            let done = done.clone();
            assert!(queue.push(Arc::new(FakeSession { panics, done })));
        }
        assert_eq!(results.recv().await, Some(Done::Returned));
        assert_eq!(results.recv().await, Some(Done::Flushed));
        assert!(queue.0.lock().has_task, "the worker goes on");
    }
}
