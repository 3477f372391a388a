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

/// A time in milliseconds since 1970 as people and other programs write it: `2026-11-23T10:00:00.000Z`.
pub(crate) fn rfc3339(unix_millis: i64) -> String {
    let since = Duration::from_millis(u64::try_from(unix_millis).unwrap_or_default());
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}
