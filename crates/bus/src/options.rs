//! What can be set about a bus, beside its URL.

use std::{path::PathBuf, time::Duration};

/// The settings of a bus over Redis. `memory:` has none.
#[derive(Debug, Clone)]
pub struct Options {
    /// What all names of channels and keys begin with. Default: `roomful:`.
    pub prefix: String,
    /// A part of all names after the prefix: who has another one hears nothing of this one's. Default: none.
    pub scope: String,
    /// The certificates, in PEM, of who may sign for Redis, if not those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// How many messages may wait to be sent, for each master of Redis; more are dropped. Default: 65,536.
    pub queue_messages: usize,
    /// How many bytes these may have together, topics included. Default: 16 MiB.
    pub queue_bytes: usize,
    /// How long Redis may take to be connected to, and to answer. A connection on which it takes longer is given up.
    /// Default: 2 s.
    pub timeout: Duration,
    /// How often a connection that is silent is asked for a sign of life. Default: 2 s.
    pub ping_interval: Duration,
    /// How long to wait at most before the next attempt to connect; it starts with a fiftieth of it, and doubles.
    /// Default: 2 s.
    pub retry_max: Duration,
    /// How often Sentinels or a Redis Cluster are asked who is master of what, beside when something fails. Default: 5 s.
    pub watch_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "roomful:".to_owned(),
            scope: String::new(),
            ca_file: None,
            queue_messages: 65_536,
            queue_bytes: 16 * 1024 * 1024,
            timeout: Duration::from_secs(2),
            ping_interval: Duration::from_secs(2),
            retry_max: Duration::from_secs(2),
            watch_interval: Duration::from_secs(5),
        }
    }
}

impl Options {
    /// What names of this scope begin with, that would begin with `head` without one.
    pub(crate) fn scoped(&self, head: String) -> String {
        if self.scope.is_empty() {
            return head;
        }
        format!("{head}:{}", self.scope)
    }
}
