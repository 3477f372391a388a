//! The one place where this crate reads the wall clock. All else is told the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since 1970.
#[expect(clippy::disallowed_methods, reason = "this is the edge where time comes in")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whole seconds since 1970, as tokens have them.
pub(crate) fn unix_seconds() -> u64 {
    now().as_secs()
}

/// Milliseconds since 1970, as events and rows have them.
pub(crate) fn unix_millis() -> i64 {
    i64::try_from(now().as_millis()).unwrap_or(i64::MAX)
}
