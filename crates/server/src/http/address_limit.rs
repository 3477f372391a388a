//! Rates per client address, with bounded memory.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock as _};
use parking_lot::Mutex;
use roomful_socket::client_network;
use tokio::time::Instant;

/// How often idle entries are removed while the table is full.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// The buckets that new addresses share while the table is full.
const SHARED_BUCKETS: u64 = 1_024;

/// A token bucket per address, or per /64 network of IPv6.
pub(crate) struct AddressLimit {
    buckets: DefaultKeyedRateLimiter<u64>,
    /// Its random seed keeps strangers from aiming at the bucket of another address.
    hasher: RandomState,
    /// The number of addresses with a bucket of their own.
    max_tracked: usize,
    swept: Mutex<Instant>,
}

impl AddressLimit {
    /// Allows `per_second` in the long run and `burst` at once.
    pub(crate) fn per_second(per_second: u32, burst: u32, max_tracked: usize) -> Self {
        Self::new(
            Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst)),
            max_tracked,
        )
    }

    /// Allows `per_minute` in the long run and as many at once.
    pub(crate) fn per_minute(per_minute: u32, max_tracked: usize) -> Self {
        Self::new(Quota::per_minute(at_least_one(per_minute)), max_tracked)
    }

    fn new(quota: Quota, max_tracked: usize) -> Self {
        AddressLimit {
            buckets: RateLimiter::dashmap(quota),
            hasher: RandomState::new(),
            max_tracked,
            swept: Mutex::new(Instant::now()),
        }
    }

    /// Takes a token of the address.
    ///
    /// # Errors
    /// The time until there is one.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), Duration> {
        let hash = self.hasher.hash_one(client_network(address));
        let full = self.buckets.len() >= self.max_tracked;
        if full {
            self.sweep();
        }
        let key = if full { hash % SHARED_BUCKETS } else { hash };
        let now = self.buckets.clock().now();
        self.buckets
            .check_key(&key)
            .map_err(|until| until.wait_time_from(now))
    }

    fn sweep(&self) {
        let mut last_sweep = self.swept.lock();
        if last_sweep.elapsed() >= SWEEP_INTERVAL {
            *last_sweep = Instant::now();
            self.buckets.retain_recent();
        }
    }
}

fn at_least_one(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_bucket() {
        let limit = AddressLimit::per_minute(3, 1_000);
        let [one, other] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        assert_eq!((0..10).filter(|_| limit.take(one).is_ok()).count(), 3);
        assert!(limit.take(one).is_err_and(|wait| wait > Duration::from_secs(1)));
        assert!(limit.take(other).is_ok());
    }

    #[test]
    fn the_table_stays_bounded() {
        let limit = AddressLimit::per_minute(1, 100);
        for n in 0..10_000_u32 {
            let _ = limit.take(IpAddr::from(n.to_be_bytes()));
        }
        let bound = 100 + usize::try_from(SHARED_BUCKETS).unwrap();
        assert!(limit.buckets.len() <= bound, "{} buckets", limit.buckets.len());
    }
}
