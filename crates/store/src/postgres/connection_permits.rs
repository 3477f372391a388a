//! Permits of a connection pool. Callers that wait for one take turns. If PostgreSQL refuses a connection,
//! the pool shrinks for some seconds and callers wait for the connections it has instead of retrying.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    Caller, Outage,
    caller::Lane,
    fair_queue::FairQueue,
    metrics::{Metrics, to_f64},
};

/// How long a refused permit stays withdrawn.
const WITHDRAWN_FOR: Duration = Duration::from_secs(5);

/// Permits to use, or to open, one connection each.
pub(super) struct ConnectionPermits(Arc<Shared>);

struct Shared {
    /// Locked briefly, never across an await. No permit and no sender of one is dropped under it.
    state: Mutex<State>,
    /// The most calls of one user that wait.
    per_user: usize,
    metrics: Arc<Metrics>,
}

struct State {
    free: usize,
    waiting: FairQueue<Lane, Waiter>,
    /// When each withdrawn permit returns, earliest first.
    withdrawn: VecDeque<Instant>,
    closed: bool,
}

struct Waiter {
    caller: Caller,
    turn: oneshot::Sender<Result<Permit, Outage>>,
}

/// A permit, given back when it is dropped.
pub(super) struct Permit(Option<Arc<Shared>>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            Shared::give_back(&shared);
        }
    }
}

impl ConnectionPermits {
    /// `per_user` is the most calls of one user that may wait.
    pub(super) fn new(count: usize, per_user: usize, metrics: Arc<Metrics>) -> Self {
        let state = State {
            free: count,
            waiting: FairQueue::default(),
            withdrawn: VecDeque::new(),
            closed: false,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            per_user,
            metrics,
        }))
    }

    /// Waits for the caller's turn.
    ///
    /// # Errors
    /// [`Outage::Closed`] after [`Self::close`], [`Outage::Busy`] if too many calls of the user wait,
    /// [`Outage::Abandoned`] if nobody waits for the answer when it is the caller's turn.
    pub(super) async fn take(&self, now: Instant) -> Result<Permit, Outage> {
        let turn = {
            let mut state = self.0.state.lock();
            if state.closed {
                return Err(Outage::Closed);
            }
            state.restore(now);
            if state.free > 0 && state.waiting.len() == 0 {
                state.free -= 1;
                return Ok(Permit(Some(Arc::clone(&self.0))));
            }
            let caller = Caller::current();
            let lane = caller.lane();
            if lane != Lane::Server && state.waiting.len_of(lane) >= self.0.per_user {
                return Err(Outage::Busy);
            }
            let (turn, reached) = oneshot::channel();
            state.waiting.push(lane, Waiter { caller, turn });
            self.0.metrics.reads_waiting.increment(1.0);
            reached
        };
        // Permits may be free if they have just been restored.
        Shared::serve(&self.0);
        turn.await.unwrap_or(Err(Outage::Closed))
    }

    /// Withdraws a permit for which the server refused a connection.
    pub(super) fn refused(&self, mut permit: Permit, now: Instant) {
        permit.0 = None;
        self.0.state.lock().withdrawn.push_back(now + WITHDRAWN_FOR);
    }

    /// Refuses those who wait and those who come.
    pub(super) fn close(&self) {
        let refused = {
            let mut state = self.0.state.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        self.0.metrics.reads_waiting.decrement(to_f64(refused.len()));
        drop(refused);
    }
}

impl State {
    /// Returns the permits that were withdrawn for long enough.
    fn restore(&mut self, now: Instant) {
        while self.withdrawn.front().is_some_and(|until| *until <= now) {
            self.withdrawn.pop_front();
            self.free += 1;
        }
    }
}

impl Shared {
    fn give_back(shared: &Arc<Self>) {
        shared.state.lock().free += 1;
        Self::serve(shared);
    }

    /// Hands free permits to those who wait.
    fn serve(shared: &Arc<Self>) {
        while let Some(waiter) = shared.next() {
            if waiter.turn.is_closed() || waiter.caller.has_gone() {
                shared.metrics.reads_dropped.increment(1);
                let _ = waiter.turn.send(Err(Outage::Abandoned));
                shared.state.lock().free += 1;
                continue;
            }
            // If the caller goes at this moment, the permit comes back as its drop.
            let _ = waiter.turn.send(Ok(Permit(Some(Arc::clone(shared)))));
        }
    }

    /// The next in turn, with one free permit reserved.
    fn next(&self) -> Option<Waiter> {
        let mut state = self.state.lock();
        if state.free == 0 {
            return None;
        }
        let waiter = state.waiting.pop()?;
        state.free -= 1;
        drop(state);
        self.metrics.reads_waiting.decrement(1.0);
        Some(waiter)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt as _;

    use super::*;

    fn permits(count: usize) -> ConnectionPermits {
        ConnectionPermits::new(count, 3, Arc::new(Metrics::new()))
    }

    #[test]
    fn a_refused_permit_is_withdrawn_for_a_while() {
        let (permits, now) = (permits(2), Instant::now());
        let take = |at| permits.take(at).now_or_never().map(Result::unwrap);
        let (kept, refused) = (take(now).unwrap(), take(now).unwrap());
        permits.refused(refused, now);
        assert!(take(now + WITHDRAWN_FOR / 2).is_none());
        drop(kept);
        let _kept = take(now + WITHDRAWN_FOR / 2).unwrap();
        assert!(take(now + WITHDRAWN_FOR / 2).is_none(), "one permit is left");
        let _again = take(now + WITHDRAWN_FOR).unwrap();
        assert!(take(now + WITHDRAWN_FOR * 9).is_none(), "it returns once");
        permits.close();
        assert!(permits.take(now).now_or_never().unwrap().is_err());
    }

    #[tokio::test]
    async fn users_take_turns_and_callers_who_have_gone_are_skipped() {
        let (permits, now) = (permits(1), Instant::now());
        let first = permits.take(now).await.unwrap_or_else(|_| unreachable!());
        let gone = Arc::new(AtomicBool::new(false));
        let has_gone = || {
            let gone = Arc::clone(&gone);
            move || gone.load(Ordering::Relaxed)
        };
        let ann = || Box::pin(Caller::user("ann").run(permits.take(now)));
        let leaving = || Box::pin(Caller::user("ann").until(has_gone()).run(permits.take(now)));
        let (mut leaves, mut one, mut two, mut refused) = (leaving(), ann(), ann(), ann());
        let mut bob = Box::pin(Caller::user("bob").run(permits.take(now)));
        for waits in [&mut one, &mut two] {
            assert!((&mut leaves).now_or_never().is_none() && waits.now_or_never().is_none());
        }
        assert!((&mut bob).now_or_never().is_none());
        assert_eq!(
            (&mut refused).now_or_never().map(Result::err),
            Some(Some(Outage::Busy))
        );
        gone.store(true, Ordering::Relaxed);
        drop(first);
        assert_eq!(leaves.await.err(), Some(Outage::Abandoned));
        // Bob came last, and gets the permit before any other call of ann.
        let permit = bob.await.ok();
        assert!(permit.is_some() && (&mut one).now_or_never().is_none());
        drop(permit);
        drop(one.await.ok());
        assert!(two.await.is_ok());
    }
}
