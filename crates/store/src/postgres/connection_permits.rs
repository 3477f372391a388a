//! Permits of a connection pool. If PostgreSQL refuses a connection, the pool shrinks for some seconds and
//! callers wait for the connections it has instead of retrying.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How long a refused permit stays withdrawn.
const WITHDRAWN_FOR: Duration = Duration::from_secs(5);

/// Permits to use, or to open, one connection each.
pub(super) struct ConnectionPermits {
    free: Arc<Semaphore>,
    /// When each withdrawn permit returns, earliest first. Locked briefly, never across an await.
    withdrawn: Mutex<VecDeque<Instant>>,
}

impl ConnectionPermits {
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            withdrawn: Mutex::default(),
        }
    }

    /// Waits for a permit in order of arrival. Fails once [`Self::close`] was called.
    pub(super) async fn take(&self, now: Instant) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.restore(now);
        Arc::clone(&self.free).acquire_owned().await
    }

    /// Withdraws a permit for which the server refused a connection.
    pub(super) fn refused(&self, permit: OwnedSemaphorePermit, now: Instant) {
        permit.forget();
        self.withdrawn.lock().push_back(now + WITHDRAWN_FOR);
    }

    pub(super) fn close(&self) {
        self.free.close();
    }

    /// Returns the permits that were withdrawn for long enough.
    fn restore(&self, now: Instant) {
        let mut withdrawn = self.withdrawn.lock();
        while withdrawn.front().is_some_and(|until| *until <= now) {
            withdrawn.pop_front();
            self.free.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_refused_permit_is_withdrawn_for_a_while() {
        let (permits, now) = (ConnectionPermits::new(2), Instant::now());
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
}
