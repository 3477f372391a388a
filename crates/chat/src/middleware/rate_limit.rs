//! How much is too much: events per connection, user and address, and connects per address.
//!
//! Each limit is a token bucket (GCRA, by `governor`) on the crate's [`Clock`]. The buckets of users and addresses
//! live in maps that are swept of idle entries and bounded; past the bound newcomers share a fixed set of buckets.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use governor::{
    NotUntil, Quota, RateLimiter,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, keyed::DashMapStateStore},
};

use crate::{clock::Clock, error::ChatError};

/// How often the maps are swept of entries that say nothing any more, in milliseconds.
const SWEEP_EVERY_MS: i64 = 30_000;
/// The lines that clients may write into the log, all together.
const LOG_LINES: Rate = Rate::new(10, 50);
/// The buckets that newcomers share when a map is full.
const SHARED_BUCKETS: u64 = 1_024;

/// So many a second in the long run, and `burst` at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run, per second. At least 1; 0 is taken as 1.
    pub per_second: u32,
    /// At once after a pause. At least 1; 0 is taken as 1.
    pub burst: u32,
}

impl Rate {
    /// A rate.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst }
    }

    fn quota(self) -> Quota {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Quota::per_second(at_least_one(self.per_second)).allow_burst(at_least_one(self.burst))
    }
}

/// The rates, and what happens to who does not heed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// False lifts every limit of this struct (for benchmarks).
    pub enabled: bool,
    /// Events of one connection.
    pub connection: Rate,
    /// Events of one user over all their connections.
    pub user: Rate,
    /// Events from one address (IPv4), or one /64 network (IPv6).
    pub address: Rate,
    /// Connects from one address or /64 network.
    pub connects_per_address: Rate,
    /// Connections of one user at a time.
    pub connections_per_user: u32,
    /// A connection with so many events refused in a row is closed.
    pub refusals_before_close: u32,
    /// Users, and addresses, that are told apart at a time.
    pub tracked: usize,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            enabled: true,
            connection: Rate::new(20, 40),
            user: Rate::new(60, 120),
            address: Rate::new(1_000, 2_000),
            connects_per_address: Rate::new(100, 1_000),
            connections_per_user: 100,
            refusals_before_close: 200,
            tracked: 100_000,
        }
    }
}

/// The crate's clock in the shape `governor` asks for.
#[derive(Clone)]
struct LimiterClock(Arc<dyn Clock>);

impl governor::clock::Clock for LimiterClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(Duration::from_millis(
            u64::try_from(self.0.monotonic_ms()).unwrap_or(0),
        ))
    }
}

type Outcome = NoOpMiddleware<Nanos>;
type Single = RateLimiter<NotKeyed, InMemoryState, LimiterClock, Outcome>;
type Keyed = RateLimiter<u64, DashMapStateStore<u64>, LimiterClock, Outcome>;

/// The bucket of one connection. Small: a socket carries it for life.
pub(crate) struct ConnectionLimiter(Single);

/// The limits that many connections share.
pub(crate) struct RateLimiters {
    limits: RateLimits,
    clock: LimiterClock,
    hasher: RandomState,
    users: Keyed,
    addresses: Keyed,
    connects: Keyed,
    /// What clients say in `error` events goes to the log, but can't flood it. On even when the limits are off.
    log_lines: Single,
    swept_at: AtomicI64,
}

impl RateLimiters {
    pub(crate) fn new(limits: RateLimits, clock: Arc<dyn Clock>) -> Self {
        let swept_at = AtomicI64::new(clock.monotonic_ms());
        let clock = LimiterClock(clock);
        let keyed = |rate: Rate| RateLimiter::dashmap_with_clock(rate.quota(), clock.clone());
        Self {
            users: keyed(limits.user),
            addresses: keyed(limits.address),
            connects: keyed(limits.connects_per_address),
            log_lines: RateLimiter::direct_with_clock(LOG_LINES.quota(), clock.clone()),
            hasher: RandomState::new(),
            limits,
            swept_at,
            clock,
        }
    }

    /// A full bucket for a new connection; `None` when the limits are off.
    pub(crate) fn connection(&self) -> Option<ConnectionLimiter> {
        let bucket = || RateLimiter::direct_with_clock(self.limits.connection.quota(), self.clock.clone());
        self.limits.enabled.then(|| ConnectionLimiter(bucket()))
    }

    /// One more event. The narrow limit is asked first, so that a connection that is over its own
    /// does not use up what its user and its address have in common with others.
    pub(crate) fn event(
        &self,
        connection: Option<&ConnectionLimiter>,
        user: &str,
        address: IpAddr,
    ) -> Result<(), ChatError> {
        let Some(connection) = connection else {
            return Ok(());
        };
        self.sweep();
        let clock = &self.clock;
        connection
            .0
            .check()
            .map_err(|until| too_many("events", &until, clock))?;
        self.check(&self.users, user)
            .map_err(|until| too_many("events of this user", &until, clock))?;
        self.check(&self.addresses, network(address))
            .map_err(|until| too_many("events from this address", &until, clock))
    }

    /// One more connect from an address.
    pub(crate) fn connect(&self, address: IpAddr) -> Result<(), ChatError> {
        if !self.limits.enabled {
            return Ok(());
        }
        self.sweep();
        self.check(&self.connects, network(address))
            .map_err(|until| too_many("connects from this address", &until, &self.clock))
    }

    /// One more line that a client wants in the log.
    pub(crate) fn may_log(&self) -> bool {
        self.log_lines.check().is_ok()
    }

    /// Keys are kept as 64-bit hashes with a secret seed: 8 bytes each, and nobody can aim at another's bucket.
    fn check(&self, limiter: &Keyed, key: impl Hash) -> Result<(), NotUntil<Nanos>> {
        let hash = self.hasher.hash_one(key);
        let full = limiter.len() >= self.limits.tracked;
        limiter.check_key(&if full { hash % SHARED_BUCKETS } else { hash })
    }

    fn sweep(&self) {
        let now = self.clock.0.monotonic_ms();
        let swept = self.swept_at.load(Ordering::Relaxed);
        let due = now.saturating_sub(swept) >= SWEEP_EVERY_MS;
        // Whoever wins the exchange sweeps; the others go on.
        if due
            && self
                .swept_at
                .compare_exchange(swept, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            for limiter in [&self.users, &self.addresses, &self.connects] {
                limiter.retain_recent();
            }
        }
    }
}

fn too_many(what: &'static str, until: &NotUntil<Nanos>, clock: &LimiterClock) -> ChatError {
    let wait = until.wait_time_from(governor::clock::Clock::now(clock));
    let ms = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    ChatError::RateLimited {
        what,
        retry_after_ms: ms.max(1),
    }
}

/// What counts as one address: an IPv6 user has a whole /64 at their disposal.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::from((u128::from(v6) & (u128::MAX << 64)).to_be_bytes()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn limiters(limits: RateLimits) -> (RateLimiters, ManualClock) {
        let clock = ManualClock::at(1_000_000);
        (RateLimiters::new(limits, Arc::new(clock.clone())), clock)
    }

    #[test]
    fn a_burst_passes_then_the_rate_counts_and_the_wait_is_true() {
        let (limiters, clock) = limiters(RateLimits::default());
        let connection = limiters.connection();
        let event = || limiters.event(connection.as_ref(), "alice", HOME);
        assert_eq!((0..100).filter(|_| event().is_ok()).count(), 40);
        assert_eq!(
            event(),
            Err(ChatError::RateLimited {
                what: "events",
                retry_after_ms: 50
            })
        );
        clock.advance(49);
        assert!(event().is_err());
        clock.advance(1);
        assert_eq!(event(), Ok(()));
        assert!(event().is_err());
    }

    #[test]
    fn a_user_has_one_budget_on_all_devices_and_an_address_one_for_all_users() {
        let limits = RateLimits {
            user: Rate::new(1, 10),
            address: Rate::new(1, 15),
            ..RateLimits::default()
        };
        let (limiters, _clock) = limiters(limits);
        let connections = [limiters.connection(), limiters.connection()];
        let event = |device: usize, user| limiters.event(connections[device].as_ref(), user, HOME);
        assert_eq!((0..20).filter(|i| event(i % 2, "alice").is_ok()).count(), 10);
        assert_eq!((0..20).filter(|i| event(i % 2, "bob").is_ok()).count(), 5);
        let elsewhere = IpAddr::from([10, 0, 0, 1]);
        assert!(
            limiters
                .event(connections[1].as_ref(), "carol", elsewhere)
                .is_ok()
        );
    }

    #[test]
    fn off_means_off() {
        let limits = RateLimits {
            enabled: false,
            connects_per_address: Rate::new(1, 1),
            ..RateLimits::default()
        };
        let (limiters, _clock) = limiters(limits);
        let connection = limiters.connection();
        assert!((0..1_000).all(|_| limiters.event(connection.as_ref(), "alice", HOME).is_ok()));
        assert!((0..1_000).all(|_| limiters.connect(HOME).is_ok()));
    }

    #[test]
    fn the_maps_stay_bounded_and_idle_entries_go() {
        let limits = RateLimits {
            tracked: 100,
            ..RateLimits::default()
        };
        let (limiters, clock) = limiters(limits);
        let connection = limiters.connection();
        for user in 0..5_000 {
            clock.advance(1);
            let _ = limiters.event(connection.as_ref(), &user.to_string(), HOME);
            clock.advance(50);
        }
        let bound = 100 + usize::try_from(SHARED_BUCKETS).unwrap();
        assert!(limiters.users.len() <= bound, "{} buckets", limiters.users.len());
        clock.advance(SWEEP_EVERY_MS);
        limiters.sweep();
        assert_eq!(limiters.users.len(), 0);
    }

    #[test]
    fn a_v6_network_is_one_address_and_a_mapped_v4_is_that_v4() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(network(parse("2001:db8::1")), network(parse("2001:db8::ffff:1")));
        assert_ne!(network(parse("2001:db8::1")), network(parse("2001:db8:0:1::1")));
        assert_eq!(network(parse("::ffff:10.0.0.1")), parse("10.0.0.1"));
    }
}
