//! Calls of one kind that arrive at the same time go to the database as one: a thousand clients that
//! reconnect at once cost some dozens of transactions, while a single call waits for nobody.

use std::{marker::PhantomData, time::Duration};

use crate::{
    Options, StoreError,
    group_commit::{Commit, GroupCommit, Job, Pending},
    queue,
};

/// The most calls that go together.
const MAX_CALLS: usize = 256;
/// The interval between batches of several calls. A single call goes at once.
const INTERVAL: Duration = Duration::from_millis(40);
/// From this many calls in a batch on, the interval is longer: a crowd of clients takes seconds to
/// reconnect anyway.
const CROWD: usize = 16;
const INTERVAL_OF_CROWD: Duration = Duration::from_millis(100);

/// Gathers calls that ask `A` and are answered with `R`.
pub(super) struct Batcher<A, R>(GroupCommit<Pending<Ask<A>, R>>);

struct Ask<A>(A);

impl<A: Send + 'static> Job for Ask<A> {}

impl<A, R> Batcher<A, R>
where
    A: Clone + Send + 'static,
    R: Send + 'static,
{
    /// `answer` has to return one answer for each question, in their order. The queue has the bounds of the
    /// queue of appends. Must be called on the store's own runtime.
    pub(super) fn start<F>(options: &Options, answer: impl Fn(Vec<A>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<R>, StoreError>> + Send + 'static,
    {
        let options = Options {
            batch_writes: MAX_CALLS,
            ..options.clone()
        };
        let (group_commit, batches) = GroupCommit::new(&options, None);
        let answers = Answers {
            answer,
            types: PhantomData,
        };
        // The task ends when the queue is dropped.
        tokio::spawn(batches.run(answers));
        Self(group_commit)
    }

    /// Once it is queued the call is carried out, whether or not the caller still waits.
    pub(super) async fn ask(&self, ask: A) -> Result<R, StoreError> {
        let (pending, answer) = Pending::new(Ask(ask));
        self.0.submit(pending).await?;
        queue::answer(answer).await
    }
}

/// A function that answers many questions at a time.
struct Answers<A, R, C> {
    answer: C,
    types: PhantomData<fn(A) -> R>,
}

impl<A, R, C, F> Commit<Pending<Ask<A>, R>> for Answers<A, R, C>
where
    A: Clone + Send + 'static,
    R: Send + 'static,
    C: Fn(Vec<A>) -> F + Send + Sync,
    F: Future<Output = Result<Vec<R>, StoreError>> + Send,
{
    async fn commit(&mut self, calls: &mut [Pending<Ask<A>, R>]) -> Result<(), StoreError> {
        let asks = calls.iter().map(|call| call.job.0.clone()).collect();
        let answers = (self.answer)(asks).await?;
        for (call, answer) in calls.iter_mut().zip(answers) {
            call.answer = Some(answer);
        }
        Ok(())
    }

    fn interval(&self, calls: usize) -> Option<Duration> {
        match calls {
            0..=1 => None,
            2..CROWD => Some(INTERVAL),
            CROWD.. => Some(INTERVAL_OF_CROWD),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    type Asked = Arc<Mutex<Vec<Vec<u32>>>>;

    /// A batcher that doubles each number but fails for thirteen, one call a permit; and the batches it got.
    fn doubler(permits: &Arc<Semaphore>) -> (Batcher<u32, u32>, Asked) {
        let asked = Asked::default();
        let (permits, log) = (Arc::clone(permits), Arc::clone(&asked));
        let batcher = Batcher::start(&Options::default(), move |asks: Vec<u32>| {
            log.lock().push(asks.clone());
            let permits = Arc::clone(&permits);
            async move {
                permits.acquire().await.unwrap().forget();
                if asks.contains(&13) {
                    return Err(StoreError::Internal("thirteen".into()));
                }
                Ok(asks.iter().map(|ask| ask * 2).collect())
            }
        });
        (batcher, asked)
    }

    #[tokio::test]
    async fn what_comes_meanwhile_goes_together_and_each_gets_its_own_answer() {
        let permits = Arc::new(Semaphore::new(0));
        let (batcher, asked) = doubler(&permits);
        let batcher = Arc::new(batcher);
        let ask = |number| {
            let batcher = Arc::clone(&batcher);
            tokio::spawn(async move { batcher.ask(number).await })
        };
        let first = ask(1);
        while asked.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        let (second, third) = (ask(2), ask(3));
        tokio::task::yield_now().await;
        permits.add_permits(2);
        assert_eq!(first.await.unwrap(), Ok(2));
        assert_eq!(second.await.unwrap(), Ok(4));
        assert_eq!(third.await.unwrap(), Ok(6));
        assert_eq!(*asked.lock(), [vec![1], vec![2, 3]]);
    }

    #[tokio::test]
    async fn one_that_fails_does_not_fail_the_others() {
        let (batcher, asked) = doubler(&Arc::new(Semaphore::new(9)));
        let (one, thirteen, four) = tokio::join!(batcher.ask(1), batcher.ask(13), batcher.ask(4));
        assert_eq!((one, four), (Ok(2), Ok(8)));
        assert!(matches!(thirteen, Err(StoreError::Internal(_))));
        assert_eq!(*asked.lock(), [vec![1, 13, 4], vec![1], vec![13], vec![4]]);
    }
}
