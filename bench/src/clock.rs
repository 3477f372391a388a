//! The loader's time: nanoseconds of the machine's monotonic clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since some moment before this process began.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    nanos(Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    ))
}

/// A span in nanoseconds; 584 years at most.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds as seconds.
pub(crate) fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}
