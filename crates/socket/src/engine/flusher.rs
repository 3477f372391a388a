//! Batched writes to many clients. A message to a room of a thousand members would otherwise wake a
//! thousand session tasks, each of which would check its timer, stream and upper layer only to write one
//! frame. Instead, sessions with queued frames enter a flush queue, and one task per queue writes for them.
//!
//! There is one queue per core, and each session belongs to one of them. A session whose stream is blocked,
//! or that has other work, is left to its own task.
//!
//! Clients wait for answers to their own events, so sessions with an answer pass those that only have events:
//! while a message goes to a room of ten thousand, an answer waits for [`CHUNK`] writes and not for all.

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

/// What a session has to write. Later ones are more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Events, which many sessions may get at once.
    Events,
    /// Also an answer, which the client waits for.
    Answers,
}

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
    events: VecDeque<Arc<S>>,
    answers: VecDeque<Arc<S>>,
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
            events: VecDeque::new(),
            answers: VecDeque::new(),
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

    /// Queues the session to be flushed. It may be in both lanes at once. `false` if no task serves the queue.
    pub(super) fn push(&self, session: Arc<S>, lane: Lane) -> bool {
        let mut state = self.0.lock();
        if !state.has_task {
            return false;
        }
        match lane {
            Lane::Events => state.events.push_back(session),
            Lane::Answers => state.answers.push_back(session),
        }
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
        loop {
            worker.flush_answers();
            worker.flush_events();
            if worker.events.is_empty() {
                break;
            }
            tokio::task::yield_now().await;
        }
        if worker.events.capacity() > KEEP_CAPACITY {
            worker.events = VecDeque::new();
        }
    }
}

/// A worker serves many sessions: one that panics must not stop the writes of the others.
fn flush<S: Flush>(session: &S) {
    if catch_sync("flusher", || session.flush()).is_err() {
        session.return_to_task();
    }
}

/// The task's side: the queue and the sessions taken from it.
struct Worker<S: Flush> {
    queue: Arc<FlushQueue<S>>,
    events: VecDeque<Arc<S>>,
    answers: VecDeque<Arc<S>>,
}

impl<S: Flush> Worker<S> {
    fn new(queue: Arc<FlushQueue<S>>) -> Self {
        Worker {
            queue,
            events: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }

    /// Flushes all sessions that have an answer now.
    fn flush_answers(&mut self) {
        std::mem::swap(&mut self.queue.0.lock().answers, &mut self.answers);
        while let Some(session) = self.answers.pop_front() {
            flush(&*session);
        }
    }

    /// Flushes the next [`CHUNK`] of the sessions that have been taken.
    fn flush_events(&mut self) {
        for _ in 0..CHUNK {
            let Some(session) = self.events.pop_front() else {
                return;
            };
            flush(&*session);
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
        if state.events.is_empty() && state.answers.is_empty() {
            state.task = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // Tasks that are ready to run may queue more frames for the same sessions. One write then carries
        // them all.
        if std::mem::take(first_look) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        std::mem::swap(&mut state.events, &mut self.events);
        Poll::Ready(true)
    }
}

impl<S: Flush> Drop for Worker<S> {
    /// Hands the remaining sessions to their own tasks, also if the runtime ends or a flush panics.
    fn drop(&mut self) {
        let mut state = self.queue.0.lock();
        state.has_task = false;
        let left = [
            std::mem::take(&mut state.answers),
            std::mem::take(&mut state.events),
        ];
        drop(state);
        let taken = self.answers.drain(..).chain(self.events.drain(..));
        for session in left.into_iter().flatten().chain(taken) {
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
        Flushed(Lane),
        Returned,
    }

    struct FakeSession {
        lane: Lane,
        on_flush: Box<dyn Fn() + Send + Sync>,
        done: mpsc::UnboundedSender<Done>,
    }

    impl Flush for FakeSession {
        fn flush(&self) {
            (self.on_flush)();
            self.done.send(Done::Flushed(self.lane)).unwrap();
        }

        fn return_to_task(&self) {
            self.done.send(Done::Returned).unwrap();
        }
    }

    #[tokio::test]
    async fn a_session_that_panics_goes_to_its_own_task_and_the_worker_flushes_the_others() {
        let queue = Arc::new(FlushQueue::default());
        queue.start();
        let (done, mut results) = mpsc::unbounded_channel();
        for panics in [true, false] {
            let session = FakeSession {
                lane: Lane::Events,
                on_flush: Box::new(move || assert!(!panics, "a flush that panics")),
                done: done.clone(),
            };
            assert!(queue.push(Arc::new(session), Lane::Events));
        }
        assert_eq!(results.recv().await, Some(Done::Returned));
        assert_eq!(results.recv().await, Some(Done::Flushed(Lane::Events)));
        assert!(queue.0.lock().has_task, "the worker goes on");
    }

    #[tokio::test]
    async fn an_answer_passes_the_events_of_a_large_room() {
        let queue = Arc::new(FlushQueue::default());
        queue.start();
        let (done, mut results) = mpsc::unbounded_channel();
        let session = |lane, on_flush| {
            let done = done.clone();
            Arc::new(FakeSession { lane, on_flush, done })
        };
        let answer = session(Lane::Answers, Box::new(|| {}));
        // A client's event is handled while the first of them is written.
        let queue_answer = {
            let queue = Arc::clone(&queue);
            Box::new(move || assert!(queue.push(Arc::clone(&answer), Lane::Answers)))
        };
        queue.push(session(Lane::Events, queue_answer), Lane::Events);
        for _ in 0..3 * CHUNK {
            queue.push(session(Lane::Events, Box::new(|| {})), Lane::Events);
        }
        let mut before = 0;
        while results.recv().await != Some(Done::Flushed(Lane::Answers)) {
            before += 1;
        }
        assert_eq!(before, CHUNK);
    }
}
