//! Faults that a developer's tests ask for: an outage, and expired tokens. Only dev mode reaches them.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::{error::ChatError, middleware::auth::next_second, server::ChatServer};

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

    /// # Errors
    /// `unavailable` during an outage.
    pub(crate) fn check_outage(&self) -> Result<(), ChatError> {
        if self.has_outage() {
            return Err(ChatError::Unavailable("a test asked for an outage"));
        }
        Ok(())
    }

    /// # Errors
    /// `token_expired` for a token that was issued before the last [`ChatServer::expire_tokens`].
    pub(crate) fn check_expired(&self, issued_at: Option<i64>) -> Result<(), ChatError> {
        let before = self.expired_before.load(Ordering::Relaxed);
        if issued_at.unwrap_or(0) < before {
            return Err(ChatError::TokenExpired);
        }
        Ok(())
    }
}

impl ChatServer {
    /// Treats all tokens issued so far as expired, and closes their connections. Returns at the start of the
    /// next second, since `iat` counts whole seconds: a token issued after the call is valid.
    pub async fn expire_tokens(&self) {
        let app = &self.app;
        let before = next_second(app.clock.now_ms());
        app.clock.sleep_until_wall(before).await;
        app.faults.expired_before.store(before, Ordering::Relaxed);
        app.expire(i64::MAX);
    }

    /// Starts or ends an outage: meanwhile every event answers `unavailable`, and new connections get 503, as
    /// if the store had failed.
    pub fn set_outage(&self, outage: bool) {
        self.app.faults.outage.store(outage, Ordering::Relaxed);
    }

    /// True between [`ChatServer::set_outage`]`(true)` and `(false)`.
    pub fn has_outage(&self) -> bool {
        self.app.faults.has_outage()
    }
}
