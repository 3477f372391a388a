//! Calls of one kind that come at the same time go to the database as one: so a thousand clients that come back at once cost
//! it some dozens of transactions, and a single one waits for nobody.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use crate::{
    Options, StoreError,
    queue::{self, Queue},
};

/// Calls that go together at most.
const MOST: usize = 256;
/// While several come at a time, they set out so far apart. Not felt by who reconnects; a call that comes alone sets out at
/// once.
const PACE: Duration = Duration::from_millis(40);
/// So many at a time are a crowd: it takes seconds anyway, and sets out further apart.
const CROWD: usize = 16;
const PACE_OF_A_CROWD: Duration = Duration::from_millis(100);

/// Gathers calls that ask `A` and are answered with `R`.
pub(super) struct Batcher<A, R>(Queue<Call<A, R>>);

struct Call<A, R> {
    ask: A,
    reply: oneshot::Sender<Result<R, StoreError>>,
}

impl<A, R> Batcher<A, R>
where
    A: Clone + Send + 'static,
    R: Send + 'static,
{
    /// `answer` has an answer for each that is asked, in their order. As many may wait, and so long for their place, as
    /// appends. To be called on the store's own runtime.
    pub(super) fn start<F>(options: &Options, answer: impl Fn(Vec<A>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<R>, StoreError>> + Send + 'static,
    {
        let (calls, incoming) = Queue::new(options.queue_writes, options.queue_wait);
        // It ends with the way to it.
        tokio::spawn(run(incoming, answer));
        Self(calls)
    }

    /// From now on it is carried out, whether or not somebody waits.
    pub(super) async fn ask(&self, ask: A) -> Result<R, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.push(Call { ask, reply }).await?;
        queue::answer(answer).await
    }
}

async fn run<A, R, F>(mut incoming: mpsc::Receiver<Call<A, R>>, answer: impl Fn(Vec<A>) -> F)
where
    A: Clone,
    F: Future<Output = Result<Vec<R>, StoreError>>,
{
    let mut next_at = None;
    while let Some(first) = incoming.recv().await {
        if let Some(at) = next_at {
            sleep_until(at).await;
        }
        let mut calls = vec![first];
        while calls.len() < MOST
            && let Ok(call) = incoming.try_recv()
        {
            calls.push(call);
        }
        next_at = pace(calls.len()).map(|pace| Instant::now() + pace);
        carry_out(calls, &answer).await;
    }
}

/// How long after so many calls the next may set out.
const fn pace(calls: usize) -> Option<Duration> {
    match calls {
        0..=1 => None,
        2..CROWD => Some(PACE),
        CROWD.. => Some(PACE_OF_A_CROWD),
    }
}

async fn carry_out<A, R, F>(calls: Vec<Call<A, R>>, answer: &impl Fn(Vec<A>) -> F)
where
    A: Clone,
    F: Future<Output = Result<Vec<R>, StoreError>>,
{
    let asks = calls.iter().map(|call| call.ask.clone()).collect();
    match answer(asks).await {
        Ok(answers) => {
            for (call, answer) in calls.into_iter().zip(answers) {
                reply(call.reply, Ok(answer));
            }
        }
        // One that the database can't take must not take the others with it.
        Err(StoreError::Internal(_)) if calls.len() > 1 => {
            for call in calls {
                let alone = answer(vec![call.ask]).await;
                let none = || StoreError::Internal("a call has no answer".into());
                reply(
                    call.reply,
                    alone.and_then(|mut alone| alone.pop().ok_or_else(none)),
                );
            }
        }
        Err(error) => calls
            .into_iter()
            .for_each(|call| reply(call.reply, Err(error.clone()))),
    }
}

fn reply<R>(to: oneshot::Sender<Result<R, StoreError>>, answer: Result<R, StoreError>) {
    // Whoever asked may have gone.
    let _ = to.send(answer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    type Asked = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Answers each number but thirteen with its double, a call for each permit; and what was asked together.
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
