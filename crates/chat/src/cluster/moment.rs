//! A time that goes on while the process, or the whole machine, stands still: what was promised until then may be over
//! when it goes on.

use std::{ops::Add, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// Since the machine was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Moment {
    pub(super) fn now() -> Self {
        // Linux' monotonic clock stands still while the machine is suspended.
        #[cfg(target_os = "linux")]
        let now = clock_gettime(ClockId::Boottime);
        #[cfg(not(target_os = "linux"))]
        let now = clock_gettime(ClockId::Monotonic);
        let seconds = Duration::from_secs(u64::try_from(now.tv_sec).unwrap_or_default());
        Self(seconds + Duration::from_nanos(u64::try_from(now.tv_nsec).unwrap_or_default()))
    }

    /// How long it is until then; nothing if it has passed.
    pub(super) fn left(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    /// Whether it has passed.
    pub(super) fn is_over(self) -> bool {
        self <= Self::now()
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0 + span)
    }
}
