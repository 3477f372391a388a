//! The clock as a parameter: wall time for what clients and the store see, monotonic time for deadlines.
//!
//! Only [`SystemClock`] reads the clocks of the machine. An operator or NTP may set the wall clock at any
//! time, so a deadline that depends on it could come much too late or too early. Deadlines therefore use
//! [`Clock::monotonic_ms`].

use std::{future::Future, pin::Pin, sync::OnceLock, time::Duration};

use tokio::{sync::watch, time::Instant};

/// Longest single sleep of [`SystemClock::sleep_until_wall`], so that it notices a change of the wall clock
/// in time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// A future that ends when its time has come.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The source of time for this crate.
pub trait Clock: Send + Sync + 'static {
    /// Wall time in milliseconds since 1970-01-01T00:00:00Z. It can jump in both directions.
    fn now_ms(&self) -> i64;

    /// Monotonic time in milliseconds since an arbitrary moment. It never jumps.
    fn monotonic_ms(&self) -> i64;

    /// Ends once [`Clock::monotonic_ms`] has reached `at_ms`.
    fn sleep_until(&self, at_ms: i64) -> Sleep;

    /// Ends once [`Clock::now_ms`] has reached `at_ms`: for times set by others, such as the expiry of a
    /// token.
    fn sleep_until_wall(&self, at_ms: i64) -> Sleep;

    /// Ends after this many milliseconds.
    fn sleep(&self, ms: i64) -> Sleep {
        self.sleep_until(self.monotonic_ms().saturating_add(ms))
    }
}

/// The clocks of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn wall_ms() -> i64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic() -> i64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let since = START.get_or_init(Instant::now).elapsed();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The time from `now_ms` to `at_ms`; `None` if it has come.
fn left(at_ms: i64, now_ms: i64) -> Option<Duration> {
    let left = u64::try_from(at_ms.saturating_sub(now_ms)).ok()?;
    (left > 0).then(|| Duration::from_millis(left))
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        Self::wall_ms()
    }

    fn monotonic_ms(&self) -> i64 {
        Self::monotonic()
    }

    fn sleep_until(&self, at_ms: i64) -> Sleep {
        Box::pin(async move {
            while let Some(left) = left(at_ms, Self::monotonic()) {
                tokio::time::sleep(left).await;
            }
        })
    }

    fn sleep_until_wall(&self, at_ms: i64) -> Sleep {
        Box::pin(async move {
            while let Some(left) = left(at_ms, Self::wall_ms()) {
                tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
            }
        })
    }
}

/// A clock for tests: it moves only when the test moves it.
///
/// Its monotonic time starts at 0, far from any wall time, so that code which mixes the two fails its tests.
#[derive(Debug, Clone)]
pub struct ManualClock {
    times: watch::Sender<Times>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    wall: i64,
    monotonic: i64,
}

impl ManualClock {
    /// A clock that stands at the wall time `now_ms`.
    pub fn at(now_ms: i64) -> Self {
        Self {
            times: watch::Sender::new(Times {
                wall: now_ms,
                monotonic: 0,
            }),
        }
    }

    /// Lets `ms` milliseconds pass, on both clocks.
    pub fn advance(&self, ms: i64) {
        self.times.send_modify(|times| {
            times.wall = times.wall.saturating_add(ms);
            times.monotonic = times.monotonic.saturating_add(ms);
        });
    }

    /// Sets the wall clock forward by `ms` milliseconds, or back if negative, as NTP does.
    pub fn step_wall(&self, ms: i64) {
        self.times
            .send_modify(|times| times.wall = times.wall.saturating_add(ms));
    }

    fn wait_for(&self, come: impl Fn(&Times) -> bool + Send + 'static) -> Sleep {
        let mut times = self.times.subscribe();
        Box::pin(async move {
            // An error means that the clock is gone and will never move again.
            if times.wait_for(come).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.times.borrow().wall
    }

    fn monotonic_ms(&self) -> i64 {
        self.times.borrow().monotonic
    }

    fn sleep_until(&self, at_ms: i64) -> Sleep {
        self.wait_for(move |times| times.monotonic >= at_ms)
    }

    fn sleep_until_wall(&self, at_ms: i64) -> Sleep {
        self.wait_for(move |times| times.wall >= at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True if the future ends without the clock moving.
    async fn has_ended(sleep: &mut Sleep) -> bool {
        tokio::select! {
            biased;
            () = sleep => true,
            () = tokio::task::yield_now() => false,
        }
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_at_their_time() {
        let clock = ManualClock::at(1_000);
        let mut sleep = clock.sleep(500);
        clock.advance(499);
        assert!(!has_ended(&mut sleep).await, "one millisecond is left");
        clock.advance(1);
        sleep.await;
        assert_eq!((clock.now_ms(), clock.monotonic_ms()), (1_500, 500));
    }

    #[tokio::test]
    async fn a_step_of_the_wall_clock_moves_only_wall_deadlines() {
        let clock = ManualClock::at(1_000);
        let (mut sleep, mut wall) = (clock.sleep(500), clock.sleep_until_wall(1_500));
        clock.step_wall(-300);
        clock.advance(500);
        assert!(has_ended(&mut sleep).await, "500 ms have passed");
        assert!(!has_ended(&mut wall).await, "the wall clock shows 1200");
        let mut sleep = clock.sleep(500);
        clock.step_wall(300);
        assert!(has_ended(&mut wall).await);
        assert!(!has_ended(&mut sleep).await);
    }

    #[tokio::test]
    async fn a_deadline_in_the_past_ends_at_once() {
        SystemClock.sleep_until(SystemClock.monotonic_ms() - 1).await;
        SystemClock.sleep_until_wall(SystemClock.now_ms() - 1).await;
        ManualClock::at(5).sleep_until_wall(5).await;
    }
}
