//! Progress of a measurement, on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock;

/// When the temporary line was last drawn, in clock nanoseconds.
static SHOWN: AtomicU64 = AtomicU64::new(0);
const REDRAW_NANOS: u64 = 200_000_000;

/// A line that stays.
pub(crate) fn line(text: &str) {
    // Ignore errors: a measurement should not end because it cannot print its progress.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A temporary line that the next one replaces, a few times a second on a terminal; elsewhere nothing.
pub(crate) fn passing(text: &str) {
    let now = clock::now();
    if now.saturating_sub(SHOWN.load(Ordering::Relaxed)) > REDRAW_NANOS {
        SHOWN.store(now, Ordering::Relaxed);
        redraw(text);
    }
}

/// Removes the temporary line.
pub(crate) fn clear() {
    redraw("");
}

fn redraw(text: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{text}");
        let _ = stderr.flush();
    }
}

/// A counter, redrawn in place.
pub(crate) fn count(what: &str, done: usize, of: usize) {
    if done == of {
        clear();
    } else {
        passing(&format!("  {what}: {done}/{of}"));
    }
}
