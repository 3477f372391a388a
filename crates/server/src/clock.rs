//! The wall clock, and the formats of its times. No other file of this crate reads it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since 1970.
#[expect(clippy::disallowed_methods, reason = "this is the edge where time comes in")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time in whole seconds since 1970, the unit of JWT claims.
pub(crate) fn unix_seconds() -> u64 {
    now().as_secs()
}

/// The time in milliseconds since 1970, the unit of events and of stored rows.
pub(crate) fn unix_millis() -> i64 {
    i64::try_from(now().as_millis()).unwrap_or(i64::MAX)
}

/// Formats milliseconds since 1970 after RFC 3339: `2026-11-23T10:00:00.000Z`.
pub(crate) fn rfc3339(unix_millis: i64) -> String {
    let since = Duration::from_millis(u64::try_from(unix_millis).unwrap_or_default());
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}
