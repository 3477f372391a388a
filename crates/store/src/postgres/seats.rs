//! How many connections a pool may have now. All it was made for, unless the server refuses some: then as many as it has, and
//! whoever comes waits for one of those instead of knocking again.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How long a seat that the server refused is left empty.
const EMPTY: Duration = Duration::from_secs(5);

/// The seats of a pool. Who has one may use a connection, or make one.
pub(super) struct Seats {
    free: Arc<Semaphore>,
    /// When each of those that were refused is tried again, the first one first. Held for moments.
    empty: Mutex<VecDeque<Instant>>,
}

impl Seats {
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            empty: Mutex::default(),
        }
    }

    /// Waits for a seat, behind those who came before. An error once they are closed.
    pub(super) async fn take(&self, now: Instant) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.fill(now);
        Arc::clone(&self.free).acquire_owned().await
    }

    /// The server gives no connection for this seat.
    pub(super) fn refused(&self, seat: OwnedSemaphorePermit, now: Instant) {
        seat.forget();
        self.empty.lock().push_back(now + EMPTY);
    }

    /// Nobody gets one any more.
    pub(super) fn close(&self) {
        self.free.close();
    }

    /// Those that were empty for long enough can be taken again.
    fn fill(&self, now: Instant) {
        let mut empty = self.empty.lock();
        while empty.front().is_some_and(|until| *until <= now) {
            empty.pop_front();
            self.free.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_seat_that_was_refused_stays_empty_for_a_while() {
        let (seats, now) = (Seats::new(2), Instant::now());
        let take = |at| seats.take(at).now_or_never().map(Result::unwrap);
        let (kept, refused) = (take(now).unwrap(), take(now).unwrap());
        seats.refused(refused, now);
        assert!(take(now + EMPTY / 2).is_none());
        drop(kept);
        let _kept = take(now + EMPTY / 2).unwrap();
        assert!(take(now + EMPTY / 2).is_none(), "one is left");
        let _again = take(now + EMPTY).unwrap();
        assert!(take(now + EMPTY * 9).is_none(), "it comes back once");
        seats.close();
        assert!(seats.take(now).now_or_never().unwrap().is_err());
    }
}
