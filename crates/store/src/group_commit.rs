//! Group commit: a bounded queue of requests, and the loop that commits all that wait together.
//!
//! Batches form by themselves: while one batch is being committed the next one fills, and nothing waits for a
//! batch to be full. A batch takes one bulk request at most, behind the others, so that many of them do not
//! hold up everybody else. Both stores use it for their writes, PostgreSQL also for calls that it answers
//! many at a time.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use roomful_supervisor::catch;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until},
};

use crate::{
    Options, Outage, StoreError,
    metrics::{Metrics, to_f64},
    queue::{self, Queue},
};

/// How much of the queue and of a batch a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Entries or other rows that it writes.
    pub(crate) writes: usize,
    /// Bytes that it holds.
    pub(crate) bytes: usize,
}

impl Weight {
    /// The weight of a request that is about one row.
    pub(crate) const SMALL: Self = Self {
        writes: 1,
        bytes: 256,
    };
}

/// What a caller wants committed.
pub(crate) trait Job: Send + 'static {
    fn weight(&self) -> Weight {
        Weight::SMALL
    }

    /// True if no other request may be in its batch.
    fn is_exclusive(&self) -> bool {
        false
    }

    /// True if it writes much and may come behind later requests.
    fn is_bulk(&self) -> bool {
        false
    }
}

/// A job with the way back to its caller.
pub(crate) trait Request: Send + 'static {
    fn weight(&self) -> Weight;

    /// See [`Job::is_exclusive`].
    fn is_exclusive(&self) -> bool;

    /// See [`Job::is_bulk`].
    fn is_bulk(&self) -> bool;

    /// Tells the caller how the commit ended. Only the first call has an effect. The commit counts
    /// even if the caller is gone.
    fn finish(&mut self, outcome: Result<(), StoreError>);
}

/// A job, its answer once a commit has filled it in, and its caller.
pub(crate) struct Pending<J, A> {
    pub(crate) job: J,
    pub(crate) answer: Option<A>,
    reply: Option<oneshot::Sender<Result<A, StoreError>>>,
}

impl<J, A> Pending<J, A> {
    pub(crate) fn new(job: J) -> (Self, oneshot::Receiver<Result<A, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let pending = Self {
            job,
            answer: None,
            reply: Some(reply),
        };
        (pending, answer)
    }

    /// See [`Request::finish`].
    pub(crate) fn finish(&mut self, outcome: Result<(), StoreError>) {
        let Some(reply) = self.reply.take() else { return };
        let unanswered = || StoreError::Internal("a request was committed without an answer".into());
        let answer = self.answer.take();
        let _ = reply.send(outcome.and_then(|()| answer.ok_or_else(unanswered)));
    }
}

impl<J: Job, A: Send + 'static> Request for Pending<J, A> {
    fn weight(&self) -> Weight {
        self.job.weight()
    }

    fn is_exclusive(&self) -> bool {
        self.job.is_exclusive()
    }

    fn is_bulk(&self) -> bool {
        self.job.is_bulk()
    }

    fn finish(&mut self, outcome: Result<(), StoreError>) {
        Pending::finish(self, outcome);
    }
}

/// Commits batches.
pub(crate) trait Commit<R>: Send {
    /// Commits all of the requests and fills in their answers, or none. May be called again with the same
    /// requests after an error.
    fn commit(&mut self, batch: &mut [R]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How long after the start of a batch of this many requests the next one may start.
    fn interval(&self, _requests: usize) -> Option<Duration> {
        None
    }
}

struct Queued<R> {
    request: R,
    weight: Weight,
    /// The request's share of the queue's bytes, given back when it is answered.
    share: OwnedSemaphorePermit,
}

/// The entry to the queue.
pub(crate) struct GroupCommit<R> {
    queue: Queue<Queued<R>>,
    bytes: Arc<Semaphore>,
    queue_bytes: u32,
    wait: Duration,
    metrics: Option<Arc<Metrics>>,
}

impl<R: Request> GroupCommit<R> {
    /// With `metrics` it reports the length of its queue, its batches and commits, and logs when commits
    /// begin to fail. The caller runs the [`Batches`], on a thread or in a task.
    pub(crate) fn new(options: &Options, metrics: Option<Arc<Metrics>>) -> (Self, Batches<R>) {
        let (queue, incoming) = Queue::new(options.queue_writes, options.queue_wait);
        let queue_bytes = u32::try_from(options.queue_bytes).unwrap_or(u32::MAX);
        let group_commit = Self {
            queue,
            bytes: Arc::new(Semaphore::new(queue_bytes as usize)),
            queue_bytes,
            wait: options.queue_wait,
            metrics: metrics.clone(),
        };
        let batches = Batches {
            incoming,
            next: None,
            bulk: VecDeque::new(),
            limit: Weight {
                writes: options.batch_writes,
                bytes: options.batch_bytes,
            },
            metrics,
            failing: false,
        };
        (group_commit, batches)
    }

    /// Queues a request. From then on it is carried out, whether or not its caller still waits.
    ///
    /// # Errors
    /// [`Outage::Busy`] if the queue stays full for too long, [`Outage::Closed`] after [`Self::close`].
    pub(crate) async fn submit(&self, request: R) -> Result<(), StoreError> {
        let weight = request.weight();
        // A request larger than the whole queue waits until the queue is empty.
        let share = u32::try_from(weight.bytes).unwrap_or(u32::MAX);
        let share = self.bytes.clone().acquire_many_owned(share.min(self.queue_bytes));
        let share = queue::within(self.wait, share)
            .await?
            .map_err(|_| Outage::Closed)?;
        let queued = Queued {
            request,
            weight,
            share,
        };
        self.count(1.0);
        let pushed = self.queue.push(queued).await;
        if pushed.is_err() {
            self.count(-1.0);
        }
        pushed
    }

    /// Refuses new work from now on. The loop ends when it has committed all queued work.
    pub(crate) fn close(&self) {
        self.queue.close();
    }

    fn count(&self, requests: f64) {
        if let Some(metrics) = &self.metrics {
            metrics.queue.increment(requests);
        }
    }
}

/// The queue's other end: it takes batches and has them committed.
pub(crate) struct Batches<R> {
    incoming: mpsc::Receiver<Queued<R>>,
    /// An exclusive request that came behind others.
    next: Option<Queued<R>>,
    /// Bulk requests that wait for their batch. Their bytes still count towards the queue's.
    bulk: VecDeque<Queued<R>>,
    limit: Weight,
    metrics: Option<Arc<Metrics>>,
    /// Whether the last commit failed: an outage is logged once, not once a batch.
    failing: bool,
}

impl<R: Request> Batches<R> {
    /// Commits batches until the queue is closed and empty.
    pub(crate) async fn run(mut self, mut committer: impl Commit<R>) {
        let mut earliest = None;
        while let Some(first) = self.first().await {
            if let Some(earliest) = earliest {
                sleep_until(earliest).await;
            }
            let (mut batch, shares) = self.gather(first);
            let interval = committer.interval(batch.len());
            earliest = interval.map(|interval| Instant::now() + interval);
            self.commit(&mut committer, &mut batch).await;
            drop(shares);
        }
    }

    /// Waits for a request, unless some were left behind by the batch before.
    async fn first(&mut self) -> Option<Queued<R>> {
        if let Some(queued) = self.next.take() {
            return Some(queued);
        }
        match self.incoming.try_recv() {
            Ok(queued) => Some(queued),
            Err(_) if !self.bulk.is_empty() => self.bulk.pop_front(),
            Err(_) => self.incoming.recv().await,
        }
    }

    /// The first request and all that wait behind it, within the limits of a batch.
    fn gather(&mut self, first: Queued<R>) -> (Vec<R>, Vec<OwnedSemaphorePermit>) {
        let (mut batch, mut shares) = (Vec::new(), Vec::new());
        let mut total = Weight { writes: 0, bytes: 0 };
        let mut next = Some(first);
        let mut take = |queued: Queued<R>| {
            total.writes = total.writes.saturating_add(queued.weight.writes);
            total.bytes = total.bytes.saturating_add(queued.weight.bytes);
            batch.push(queued.request);
            shares.push(queued.share);
            total.writes >= self.limit.writes || total.bytes >= self.limit.bytes
        };
        let mut is_alone = false;
        while let Some(queued) = next.take() {
            if queued.request.is_bulk() {
                self.bulk.push_back(queued);
            } else {
                is_alone = queued.request.is_exclusive();
                if take(queued) || is_alone {
                    break;
                }
            }
            next = self.incoming.try_recv().ok();
            if next.as_ref().is_some_and(|queued| queued.request.is_exclusive()) {
                self.next = next.take();
            }
        }
        if !is_alone && let Some(bulk) = self.bulk.pop_front() {
            take(bulk);
        }
        if let Some(metrics) = &self.metrics {
            metrics.batch_size.record(to_f64(total.writes));
            metrics.queue.decrement(to_f64(batch.len()));
        }
        (batch, shares)
    }

    /// Commits the batch, and answers all who are in it.
    async fn commit(&mut self, committer: &mut impl Commit<R>, batch: &mut [R]) {
        let outcome = match catch("store commits", self.observed(committer, batch)).await {
            Ok(outcome) => outcome,
            Err(panicked) => {
                // It may have panicked after the commit, so a second attempt could store entries twice.
                let error = StoreError::Internal(format!("failed to commit a batch: {panicked}"));
                for request in batch {
                    request.finish(Err(error.clone()));
                }
                return;
            }
        };
        if batch.len() == 1 || !matches!(outcome, Err(StoreError::Internal(_))) {
            for request in batch {
                request.finish(outcome.clone());
            }
            return;
        }
        // A request that the database cannot carry out must not take the others down with it.
        for request in batch {
            let alone = catch(
                "store commits",
                self.observed(committer, std::slice::from_mut(request)),
            )
            .await;
            request.finish(alone.unwrap_or_else(|panicked| {
                Err(StoreError::Internal(format!(
                    "failed to commit a request: {panicked}"
                )))
            }));
        }
    }

    async fn observed(&mut self, committer: &mut impl Commit<R>, batch: &mut [R]) -> Result<(), StoreError> {
        let started = Instant::now();
        let outcome = committer.commit(batch).await;
        let Some(metrics) = &self.metrics else {
            return outcome;
        };
        metrics.commit_seconds.record(started.elapsed().as_secs_f64());
        match &outcome {
            Ok(()) if self.failing => tracing::info!("the store commits again"),
            Err(error) if !self.failing => {
                tracing::error!(%error, "failed to commit, refusing writes until it succeeds");
            }
            _ => {}
        }
        self.failing = outcome.is_err();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, sync::Arc};

    use futures_util::FutureExt as _;
    use parking_lot::Mutex;
    use tokio::task::JoinHandle;

    use super::*;

    /// A number to double. Zero is exclusive, numbers from 1,000 on are bulk, thirteen cannot be committed,
    /// 666 makes the commit panic.
    type Double = Pending<u32, u32>;

    impl Job for u32 {
        fn is_exclusive(&self) -> bool {
            *self == 0
        }

        fn is_bulk(&self) -> bool {
            *self >= 1_000
        }
    }

    #[derive(Default)]
    struct Doubler {
        batches: Arc<Mutex<Vec<Vec<u32>>>>,
        /// Outages to answer first.
        outages: VecDeque<Outage>,
    }

    impl Commit<Double> for Doubler {
        async fn commit(&mut self, batch: &mut [Double]) -> Result<(), StoreError> {
            self.batches
                .lock()
                .push(batch.iter().map(|one| one.job).collect());
            if let Some(outage) = self.outages.pop_front() {
                return Err(outage.into());
            }
            assert!(batch.iter().all(|one| one.job != 666), "the number of the beast");
            if batch.iter().any(|one| one.job == 13) {
                return Err(StoreError::Internal("thirteen".into()));
            }
            for one in batch.iter_mut() {
                one.answer = Some(one.job * 2);
            }
            Ok(())
        }
    }

    type Answers = Vec<Result<u32, StoreError>>;

    /// Queues all numbers, then commits them. Returns their answers, and the batches.
    async fn double(numbers: &[u32], options: Options, doubler: Doubler) -> (Answers, Vec<Vec<u32>>) {
        let (group_commit, batches) = GroupCommit::new(&options, None);
        let mut waiting = Vec::new();
        for number in numbers {
            let (pending, answer) = Pending::new(*number);
            group_commit.submit(pending).await.unwrap();
            waiting.push(answer);
        }
        let seen = Arc::clone(&doubler.batches);
        group_commit.close();
        batches.run(doubler).await;
        let mut answers = Vec::new();
        for answer in waiting {
            answers.push(queue::answer(answer).await);
        }
        let seen = seen.lock().clone();
        (answers, seen)
    }

    #[tokio::test]
    async fn requests_that_wait_are_committed_together_and_answered_each() {
        let (answers, batches) = double(&[1, 2, 3], Options::default(), Doubler::default()).await;
        assert_eq!(answers, [Ok(2), Ok(4), Ok(6)]);
        assert_eq!(batches, [vec![1, 2, 3]]);
    }

    #[tokio::test]
    async fn a_bad_request_does_not_fail_the_others() {
        let (answers, batches) = double(&[1, 13, 4], Options::default(), Doubler::default()).await;
        assert_eq!((&answers[0], &answers[2]), (&Ok(2), &Ok(8)));
        assert!(matches!(answers[1], Err(StoreError::Internal(_))));
        assert_eq!(batches, [vec![1, 13, 4], vec![1], vec![13], vec![4]]);
    }

    #[tokio::test]
    async fn a_panic_fails_its_batch_once_and_later_batches_commit() {
        let options = Options {
            batch_writes: 2,
            ..Options::default()
        };
        let (answers, batches) = double(&[1, 666, 3], options, Doubler::default()).await;
        for answer in &answers[..2] {
            let Err(StoreError::Internal(text)) = answer else {
                panic!("{answer:?}");
            };
            assert!(text.ends_with("it panicked: the number of the beast"), "{text}");
        }
        assert_eq!(answers[2], Ok(6));
        assert_eq!(batches, [vec![1, 666], vec![3]], "no second attempt");
    }

    #[tokio::test]
    async fn an_outage_fails_its_batch_only() {
        let options = Options {
            batch_writes: 2,
            ..Options::default()
        };
        let doubler = Doubler {
            outages: [Outage::DiskFull].into(),
            ..Doubler::default()
        };
        let (answers, batches) = double(&[1, 2, 3], options, doubler).await;
        let full = || Err(Outage::DiskFull.into());
        assert_eq!(answers, [full(), full(), Ok(6)]);
        assert_eq!(batches, [vec![1, 2], vec![3]]);
    }

    #[tokio::test]
    async fn an_exclusive_request_has_a_batch_of_its_own() {
        let (answers, batches) = double(&[1, 0, 2, 0], Options::default(), Doubler::default()).await;
        assert_eq!(answers, [Ok(2), Ok(0), Ok(4), Ok(0)]);
        assert_eq!(batches, [vec![1], vec![0], vec![2], vec![0]]);
    }

    #[tokio::test]
    async fn each_batch_takes_one_bulk_request_behind_the_others() {
        let numbers = [1_000, 1_001, 1, 0, 2, 1_002, 3];
        let (answers, batches) = double(&numbers, Options::default(), Doubler::default()).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(batches, [vec![1, 1_000], vec![0], vec![2, 3, 1_001], vec![1_002]]);
    }

    #[tokio::test]
    async fn a_batch_ends_at_its_limit_of_bytes() {
        let options = Options {
            batch_bytes: 2 * Weight::SMALL.bytes,
            ..Options::default()
        };
        let (_, batches) = double(&[1, 2, 3], options, Doubler::default()).await;
        assert_eq!(batches, [vec![1, 2], vec![3]]);
    }

    #[tokio::test]
    async fn the_queue_is_bounded_in_bytes_and_frees_them_with_the_answer() {
        let options = Options {
            queue_bytes: Weight::SMALL.bytes,
            ..Options::default()
        };
        let (group_commit, batches) = GroupCommit::new(&options, None);
        let (first, answer) = Pending::new(1);
        group_commit.submit(first).await.unwrap();
        let (second, _) = Pending::new(2);
        assert!(group_commit.submit(second).now_or_never().is_none(), "it waits");
        let running: JoinHandle<()> = tokio::spawn(batches.run(Doubler::default()));
        assert_eq!(queue::answer(answer).await, Ok(2));
        let (third, answer) = Pending::new(3);
        group_commit.submit(third).await.unwrap();
        assert_eq!(queue::answer(answer).await, Ok(6));
        group_commit.close();
        running.await.unwrap();
        let (fourth, _) = Pending::new(4);
        assert_eq!(group_commit.submit(fourth).await, Err(Outage::Closed.into()));
    }
}
