//! Time as a parameter: the rules ask a [`Clock`] for the time, and only [`SystemClock`] reads the machine's
//! clock.

use std::{future::Future, pin::Pin, sync::OnceLock, time::Duration};

use tokio::{sync::watch, time::Instant};

/// The longest single sleep of [`SystemClock`]: it notices a step of the wall clock within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// A future that completes at the time asked for.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The source of time for everything in this crate.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> i64;

    /// Milliseconds since a fixed moment, for rates. No step of the wall clock changes it.
    fn monotonic_ms(&self) -> i64 {
        self.now_ms()
    }

    /// Completes when [`Clock::now_ms`] reaches `at_ms`; at once if it has already.
    fn sleep_until(&self, at_ms: i64) -> Sleep;
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one source of time for the rules")]
    fn wall_ms() -> i64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        Self::wall_ms()
    }

    fn monotonic_ms(&self) -> i64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let since = START.get_or_init(Instant::now).elapsed();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn sleep_until(&self, at_ms: i64) -> Sleep {
        Box::pin(async move {
            loop {
                let left = at_ms.saturating_sub(Self::wall_ms());
                let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
                    return;
                };
                tokio::time::sleep(Duration::from_millis(left).min(LONGEST_SLEEP)).await;
            }
        })
    }
}

/// A clock for tests, which moves only by calls of [`ManualClock::advance`].
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: watch::Sender<i64>,
}

impl ManualClock {
    /// A clock that shows `now_ms`.
    pub fn at(now_ms: i64) -> Self {
        Self {
            now: watch::Sender::new(now_ms),
        }
    }

    /// Moves the clock forward by `ms`, and completes the sleeps that end within that time.
    pub fn advance(&self, ms: i64) {
        self.now.send_modify(|now| *now = now.saturating_add(ms));
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        *self.now.borrow()
    }

    fn sleep_until(&self, at_ms: i64) -> Sleep {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            // An error means that the clock was dropped: it does not move any more, so nothing is due.
            if now.wait_for(|now| *now >= at_ms).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_exactly_when_its_time_has_come() {
        let clock = ManualClock::at(1_000);
        let mut sleep = clock.sleep_until(1_500);
        clock.advance(499);
        tokio::select! {
            biased;
            () = &mut sleep => panic!("woke a millisecond early"),
            () = tokio::task::yield_now() => {}
        }
        clock.advance(1);
        sleep.await;
    }

    #[tokio::test]
    async fn a_time_that_has_passed_does_not_sleep() {
        SystemClock.sleep_until(SystemClock.now_ms() - 1).await;
        ManualClock::at(5).sleep_until(5).await;
    }
}
