//! Logs the begin and the end of an outage, but not each failed attempt.

use std::fmt::Display;

use tokio::time::Instant;

/// The present outage of one dependency, as one task sees it.
#[derive(Debug, Default)]
pub(crate) struct OutageLog {
    since: Option<Instant>,
}

impl OutageLog {
    /// An attempt has failed. Logs the first of an outage at `warn`, and further ones at `debug`.
    pub(crate) fn failed(&mut self, message: &'static str, error: &dyn Display) {
        if self.since.is_some() {
            return tracing::debug!(%error, "{message}");
        }
        self.since = Some(Instant::now());
        tracing::warn!(%error, "{message}");
    }

    /// An attempt has succeeded. Logs the end of an outage.
    pub(crate) fn ended(&mut self, message: &'static str) {
        if let Some(since) = self.since.take() {
            let seconds = since.elapsed().as_secs();
            tracing::info!(seconds, "{message}");
        }
    }
}
