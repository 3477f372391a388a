//! What a person reads while a measurement runs, on standard error.

use std::io::{IsTerminal as _, Write as _};

/// A line that stays.
pub(crate) fn line(text: &str) {
    // Nobody is helped by a measurement that ends because its progress cannot be shown.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A line that the next one replaces, on a terminal; elsewhere nothing.
pub(crate) fn passing(text: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{text}");
        let _ = stderr.flush();
    }
}

/// Removes a passing line.
pub(crate) fn clear() {
    passing("");
}

/// A counter, redrawn in place for every hundredth part.
pub(crate) fn count(what: &str, done: usize, of: usize) {
    if done == of {
        clear();
    } else if done.is_multiple_of((of / 100).max(1)) {
        passing(&format!("  {what}: {done}/{of}"));
    }
}
