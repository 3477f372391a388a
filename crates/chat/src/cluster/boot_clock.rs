//! A clock that also counts the time in which the process or the whole machine is paused.

use std::{ops::Add, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// A time since the machine was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BootTime(Duration);

impl BootTime {
    pub(super) fn now() -> Self {
        // The monotonic clock of Linux stops while the machine is suspended.
        #[cfg(target_os = "linux")]
        let now = clock_gettime(ClockId::Boottime);
        #[cfg(not(target_os = "linux"))]
        let now = clock_gettime(ClockId::Monotonic);
        let seconds = Duration::from_secs(u64::try_from(now.tv_sec).unwrap_or_default());
        Self(seconds + Duration::from_nanos(u64::try_from(now.tv_nsec).unwrap_or_default()))
    }

    /// The time left until then; zero if it has passed.
    pub(super) fn left(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    pub(super) fn has_passed(self) -> bool {
        self <= Self::now()
    }
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0 + span)
    }
}
