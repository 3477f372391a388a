//! A rate limit for log lines that strangers cause, so that they cannot fill a disk.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Lines per second in the long run, and at once.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
const BURST: NonZeroU32 = NonZeroU32::new(50).expect("not zero");

/// Admits some lines and counts the others.
pub(crate) struct LogThrottle {
    lines: DefaultDirectRateLimiter,
    suppressed: AtomicU64,
}

impl LogThrottle {
    pub(crate) fn new() -> Self {
        LogThrottle {
            lines: RateLimiter::direct(Quota::per_second(PER_SECOND).allow_burst(BURST)),
            suppressed: AtomicU64::new(0),
        }
    }

    /// `Some` if a line may be logged now, with the number of suppressed lines since the last one.
    pub(crate) fn admit(&self) -> Option<u64> {
        if self.lines.check().is_ok() {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// The first characters of a text from a stranger, with `…` if there are more.
pub(crate) fn truncated(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_suppressed_and_counted() {
        let throttle = LogThrottle::new();
        let admitted = (0..10_000).filter(|_| throttle.admit().is_some()).count();
        assert!((50..1_000).contains(&admitted), "{admitted} lines");
        let suppressed = throttle.suppressed.load(Ordering::Relaxed);
        assert!(suppressed > 0 && suppressed <= 9_950, "{suppressed} suppressed");
    }

    #[test]
    fn long_text_is_truncated_between_characters() {
        assert_eq!(truncated("short"), "short");
        assert_eq!(truncated(&"é".repeat(500)), format!("{}…", "é".repeat(200)));
    }
}
