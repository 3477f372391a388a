//! Faults that a developer's tests ask for.

use crate::{middleware::auth::next_second, server::ChatServer};

impl ChatServer {
    /// Treats all tokens issued so far as expired, and closes their connections. Returns at the start of the
    /// next second, since `iat` counts whole seconds: a token issued after the call is valid.
    pub async fn expire_tokens(&self) {
        let app = &self.app;
        let before = next_second(app.clock.now_ms());
        app.clock.sleep_until_wall(before).await;
        app.faults.expire_before(before);
        app.expire(i64::MAX);
    }

    /// Starts or ends an outage: meanwhile every event answers `unavailable`, and new connections get 503, as
    /// if the store had failed.
    pub fn set_outage(&self, outage: bool) {
        self.app.faults.set_outage(outage);
    }

    /// True between [`ChatServer::set_outage`]`(true)` and `(false)`.
    pub fn has_outage(&self) -> bool {
        self.app.faults.has_outage()
    }
}
