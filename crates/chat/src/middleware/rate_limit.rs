//! Rate limits: events per connection, user and address, and connects per address.
//!
//! Each limit is a token bucket (GCRA, by `governor`) on the crate's [`Clock`]. The maps of user and address
//! buckets are bounded and swept of idle entries. When a map is full, new keys share a fixed set of buckets.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
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

/// How often idle buckets are removed, in milliseconds.
const SWEEP_EVERY_MS: i64 = 30_000;
/// How many log lines all clients together may cause.
const LOG_LINES: Rate = Rate::new(10, 50);
/// The number of shared buckets for new keys while a map is full.
const SHARED_BUCKETS: u64 = 1_024;

/// A sustained rate with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Sustained, per second. 0 counts as 1.
    pub per_second: u32,
    /// At once after a pause. 0 counts as 1.
    pub burst: u32,
}

impl Rate {
    /// Creates a rate.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst }
    }

    fn quota(self) -> Quota {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Quota::per_second(at_least_one(self.per_second)).allow_burst(at_least_one(self.burst))
    }
}

/// The rate limits, and when to close a connection that ignores them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// False turns off every limit of this struct (for benchmarks).
    pub enabled: bool,
    /// Events of one connection.
    pub connection: Rate,
    /// Events of one user over all their connections.
    pub user: Rate,
    /// Events from one address (IPv4), or one /64 network (IPv6).
    pub address: Rate,
    /// Connects from one address (IPv4) or one /64 network (IPv6).
    pub connects_per_address: Rate,
    /// Acts of one user as a moderator: each of them leaves records that are kept for long.
    pub moderation: Rate,
    /// Simultaneous connections of one user.
    pub connections_per_user: u32,
    /// After this many refused events in a row the server closes the connection.
    pub refusals_before_close: u32,
    /// The wait before the next event of a connection that has had several events refused in a row.
    pub refusal_pause: Duration,
    /// How many users, and how many addresses, have their own bucket at a time.
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
            moderation: Rate::new(1, 200),
            connections_per_user: 100,
            refusals_before_close: 200,
            refusal_pause: Duration::from_millis(5),
            tracked: 100_000,
        }
    }
}

/// The crate's clock as a `governor` clock.
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

/// The bucket of one connection. It lives as long as the socket, so it is small.
pub(crate) struct ConnectionLimiter(Single);

/// The sender of an event, as the limits see it.
pub(crate) struct Payer<'a> {
    /// The bucket of the connection; `None` if the limits are off.
    pub(crate) connection: Option<&'a ConnectionLimiter>,
    /// Tokens for answers already sent, which the next event pays.
    pub(crate) owed: &'a AtomicU32,
    pub(crate) user: &'a str,
    pub(crate) address: IpAddr,
}

/// The limits that connections share.
pub(crate) struct RateLimiters {
    limits: RateLimits,
    clock: LimiterClock,
    hasher: RandomState,
    users: Keyed,
    addresses: Keyed,
    connects: Keyed,
    moderation: Keyed,
    /// Bounds the lines that client `error` events write into the log. Active even when the limits are off.
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
            moderation: keyed(limits.moderation),
            log_lines: RateLimiter::direct_with_clock(LOG_LINES.quota(), clock.clone()),
            hasher: RandomState::new(),
            limits,
            swept_at,
            clock,
        }
    }

    /// A full bucket for a new connection; `None` if the limits are off.
    pub(crate) fn connection(&self) -> Option<ConnectionLimiter> {
        let bucket = || RateLimiter::direct_with_clock(self.limits.connection.quota(), self.clock.clone());
        self.limits.enabled.then(|| ConnectionLimiter(bucket()))
    }

    /// Charges an event its price in tokens, plus what the connection owes for earlier answers. A price above
    /// a burst counts as the burst, so every event can pass. The connection's own bucket comes first, so that
    /// a noisy connection does not use up the budget of its user and address.
    pub(crate) fn event(&self, payer: &Payer<'_>, price: u32) -> Result<(), ChatError> {
        let Some(connection) = payer.connection else {
            return Ok(());
        };
        self.sweep();
        let owed = payer.owed.swap(0, Ordering::Relaxed);
        let charged = self.charge(connection, payer, price.saturating_add(owed));
        if charged.is_err() {
            payer.owed.fetch_add(owed, Ordering::Relaxed);
        }
        charged
    }

    /// Charges the rest of a price whose first part was `paid`. The wait of a refusal covers a retry of both
    /// parts.
    pub(crate) fn surcharge(&self, payer: &Payer<'_>, paid: u32, price: u32) -> Result<(), ChatError> {
        match payer.connection {
            Some(connection) if price > 0 => {
                let charged = self.charge(connection, payer, price);
                charged.map_err(|error| self.with_wait_for(error, paid))
            }
            _ => Ok(()),
        }
    }

    fn charge(&self, connection: &ConnectionLimiter, payer: &Payer<'_>, price: u32) -> Result<(), ChatError> {
        let limits = &self.limits;
        let tokens = price_within(price, limits.connection);
        if let Ok(Err(until)) = connection.0.check_n(tokens) {
            return Err(too_many("events", &until, &self.clock));
        }
        self.check(&self.users, payer.user, price_within(price, limits.user))
            .map_err(|until| too_many("events of this user", &until, &self.clock))?;
        let tokens = price_within(price, limits.address);
        self.check(&self.addresses, network(payer.address), tokens)
            .map_err(|until| too_many("events from this address", &until, &self.clock))
    }

    /// Adds to a refusal's wait the time in which the connection gains `tokens`.
    fn with_wait_for(&self, error: ChatError, tokens: u32) -> ChatError {
        match error {
            ChatError::RateLimited { what, retry_after_ms } => {
                let per_second = u64::from(self.limits.connection.per_second.max(1));
                ChatError::RateLimited {
                    what,
                    retry_after_ms: retry_after_ms + (u64::from(tokens) * 1_000).div_ceil(per_second),
                }
            }
            other => other,
        }
    }

    /// Charges one connect to an address.
    pub(crate) fn connect(&self, address: IpAddr) -> Result<(), ChatError> {
        if !self.limits.enabled {
            return Ok(());
        }
        self.sweep();
        self.check(&self.connects, network(address), NonZeroU32::MIN)
            .map_err(|until| too_many("connects from this address", &until, &self.clock))
    }

    /// Charges one act of moderation to a user.
    pub(crate) fn moderation(&self, user: &str) -> Result<(), ChatError> {
        if !self.limits.enabled {
            return Ok(());
        }
        self.check(&self.moderation, user, NonZeroU32::MIN)
            .map_err(|until| too_many("acts of moderation by this user", &until, &self.clock))
    }

    /// Whether a client may write one more log line.
    pub(crate) fn may_log(&self) -> bool {
        self.log_lines.check().is_ok()
    }

    /// Keys are 64-bit hashes with a secret seed: 8 bytes each, and a user cannot aim at another's bucket.
    fn check(&self, limiter: &Keyed, key: impl Hash, tokens: NonZeroU32) -> Result<(), NotUntil<Nanos>> {
        let hash = self.hasher.hash_one(key);
        let full = limiter.len() >= self.limits.tracked;
        // A price is at most the burst, which is what the bucket can hold.
        limiter
            .check_key_n(&if full { hash % SHARED_BUCKETS } else { hash }, tokens)
            .unwrap_or(Ok(()))
    }

    fn sweep(&self) {
        let now = self.clock.0.monotonic_ms();
        let last_sweep = self.swept_at.load(Ordering::Relaxed);
        let due = now.saturating_sub(last_sweep) >= SWEEP_EVERY_MS;
        // The winner of the exchange sweeps.
        if due
            && self
                .swept_at
                .compare_exchange(last_sweep, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            for limiter in [&self.users, &self.addresses, &self.connects, &self.moderation] {
                limiter.retain_recent();
            }
        }
    }
}

/// A price in tokens, at least 1 and at most the burst.
fn price_within(price: u32, rate: Rate) -> NonZeroU32 {
    NonZeroU32::new(price.min(rate.burst)).unwrap_or(NonZeroU32::MIN)
}

fn too_many(what: &'static str, until: &NotUntil<Nanos>, clock: &LimiterClock) -> ChatError {
    let wait = until.wait_time_from(governor::clock::Clock::now(clock));
    let ms = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    ChatError::RateLimited {
        what,
        retry_after_ms: ms.max(1),
    }
}

/// The unit of an address limit: an IPv6 user owns a whole /64.
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

    fn payer<'a>(connection: Option<&'a ConnectionLimiter>, user: &'a str) -> Payer<'a> {
        Payer {
            connection,
            owed: Box::leak(Box::default()),
            user,
            address: HOME,
        }
    }

    #[test]
    fn a_price_takes_that_many_tokens_and_at_most_a_burst() {
        let (limiters, clock) = limiters(RateLimits::default());
        let connection = limiters.connection();
        let alice = payer(connection.as_ref(), "alice");
        assert_eq!(limiters.event(&alice, 30), Ok(()));
        assert!(limiters.event(&alice, 11).is_err());
        assert_eq!(limiters.event(&alice, 10), Ok(()));
        clock.advance(2_000);
        assert_eq!(limiters.event(&alice, 1_000), Ok(()));
    }

    #[test]
    fn the_next_event_pays_for_an_earlier_answer() {
        let (limiters, clock) = limiters(RateLimits::default());
        let connection = limiters.connection();
        let alice = payer(connection.as_ref(), "alice");
        alice.owed.store(60, Ordering::Relaxed);
        assert_eq!(
            limiters.event(&alice, 1),
            Ok(()),
            "a debt above the burst counts as the burst"
        );
        assert!(limiters.event(&alice, 1).is_err());
        clock.advance(2_000);
        assert_eq!(limiters.event(&alice, 5), Ok(()));
        alice.owed.store(30, Ordering::Relaxed);
        assert!(limiters.event(&alice, 10).is_err());
        assert_eq!(
            limiters.event(&alice, 5),
            Ok(()),
            "a refused event leaves the debt as it was"
        );
        assert!(limiters.event(&alice, 1).is_err());
    }

    #[test]
    fn the_wait_after_a_surcharge_covers_the_whole_price() {
        let (limiters, clock) = limiters(RateLimits::default());
        let connection = limiters.connection();
        let alice = payer(connection.as_ref(), "alice");
        limiters.event(&alice, 30).unwrap();
        let whole = || {
            limiters.event(&alice, 1)?;
            limiters.surcharge(&alice, 1, 20)
        };
        let ChatError::RateLimited { retry_after_ms, .. } = whole().unwrap_err() else {
            panic!("not limited");
        };
        clock.advance(i64::try_from(retry_after_ms).unwrap());
        assert_eq!(whole(), Ok(()));
    }

    #[test]
    fn after_the_burst_the_sustained_rate_applies_and_retry_after_is_exact() {
        let (limiters, clock) = limiters(RateLimits::default());
        let connection = limiters.connection();
        let event = || limiters.event(&payer(connection.as_ref(), "alice"), 1);
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
    fn devices_share_their_users_budget_and_users_their_addresss() {
        let limits = RateLimits {
            user: Rate::new(1, 10),
            address: Rate::new(1, 15),
            ..RateLimits::default()
        };
        let (limiters, _clock) = limiters(limits);
        let connections = [limiters.connection(), limiters.connection()];
        let event = |device: usize, user| limiters.event(&payer(connections[device].as_ref(), user), 1);
        assert_eq!((0..20).filter(|i| event(i % 2, "alice").is_ok()).count(), 10);
        assert_eq!((0..20).filter(|i| event(i % 2, "bob").is_ok()).count(), 5);
        let other_address = Payer {
            address: IpAddr::from([10, 0, 0, 1]),
            ..payer(connections[1].as_ref(), "carol")
        };
        assert_eq!(limiters.event(&other_address, 1), Ok(()));
    }

    #[test]
    fn disabled_limits_admit_everything() {
        let limits = RateLimits {
            enabled: false,
            connects_per_address: Rate::new(1, 1),
            ..RateLimits::default()
        };
        let (limiters, _clock) = limiters(limits);
        let connection = limiters.connection();
        assert!((0..1_000).all(|_| limiters.event(&payer(connection.as_ref(), "alice"), 1).is_ok()));
        assert!((0..1_000).all(|_| limiters.connect(HOME).is_ok()));
    }

    #[test]
    fn the_bucket_maps_are_bounded_and_drop_idle_entries() {
        let limits = RateLimits {
            tracked: 100,
            ..RateLimits::default()
        };
        let (limiters, clock) = limiters(limits);
        let connection = limiters.connection();
        for user in 0..5_000 {
            clock.advance(1);
            let _ = limiters.event(&payer(connection.as_ref(), &user.to_string()), 1);
            clock.advance(50);
        }
        let bound = 100 + usize::try_from(SHARED_BUCKETS).unwrap();
        assert!(limiters.users.len() <= bound, "{} buckets", limiters.users.len());
        clock.advance(SWEEP_EVERY_MS);
        limiters.sweep();
        assert_eq!(limiters.users.len(), 0);
    }

    #[test]
    fn an_ipv6_prefix_of_64_bits_is_one_address_and_mapped_ipv4_is_ipv4() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(network(parse("2001:db8::1")), network(parse("2001:db8::ffff:1")));
        assert_ne!(network(parse("2001:db8::1")), network(parse("2001:db8:0:1::1")));
        assert_eq!(network(parse("::ffff:10.0.0.1")), parse("10.0.0.1"));
    }
}
