//! Faults that a developer's tests ask for: an outage, and expired tokens. Only dev mode reaches them.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::error::ChatError;

/// The faults in force.
#[derive(Debug)]
pub(crate) struct Faults {
    outage: AtomicBool,
    /// Tokens issued before this time count as expired, in milliseconds since 1970.
    expired_before: AtomicI64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            outage: AtomicBool::new(false),
            expired_before: AtomicI64::new(i64::MIN),
        }
    }
}

impl Faults {
    pub(crate) fn has_outage(&self) -> bool {
        self.outage.load(Ordering::Relaxed)
    }

    pub(crate) fn set_outage(&self, outage: bool) {
        self.outage.store(outage, Ordering::Relaxed);
    }

    pub(crate) fn expire_before(&self, time: i64) {
        self.expired_before.store(time, Ordering::Relaxed);
    }

    /// # Errors
    /// `unavailable` during an outage.
    pub(crate) fn check_outage(&self) -> Result<(), ChatError> {
        if self.has_outage() {
            return Err(ChatError::Unavailable("a test asked for an outage"));
        }
        Ok(())
    }

    /// # Errors
    /// `token_expired` for a token that was issued before the time of the last [`Faults::expire_before`].
    pub(crate) fn check_expired(&self, issued_at: Option<i64>) -> Result<(), ChatError> {
        let before = self.expired_before.load(Ordering::Relaxed);
        if issued_at.unwrap_or(0) < before {
            return Err(ChatError::TokenExpired);
        }
        Ok(())
    }
}
