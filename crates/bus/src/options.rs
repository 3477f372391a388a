//! Options of a bus.

use std::{path::PathBuf, time::Duration};

/// Options of a bus over Redis. `memory:` has none.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Prefix of the names of all channels and keys. Default: `roomful:`.
    pub prefix: String,
    /// Second part of all names, after the prefix. Clients with different scopes do not see each other.
    /// Default: none.
    pub scope: String,
    /// File of CA certificates in PEM that replaces the system's trust store.
    pub ca_file: Option<PathBuf>,
    /// Queued messages per master of Redis; the bus drops messages beyond it. Default: 65,536.
    pub queue_messages: usize,
    /// Bytes of queued messages per master, topics included. Default: 16 MiB.
    pub queue_bytes: usize,
    /// Time limit for connecting to Redis and for each answer. A connection that exceeds it is closed.
    /// Default: 2 s.
    pub timeout: Duration,
    /// Interval of pings on an idle connection. Default: 2 s.
    pub ping_interval: Duration,
    /// Longest pause between attempts to connect. The first pause is a fiftieth of it, and each next one
    /// doubles. Default: 2 s.
    pub retry_max: Duration,
    /// How often the bus asks the Sentinels or the Redis Cluster for the current masters, besides after
    /// failures. Default: 5 s.
    pub watch_interval: Duration,
    /// What the names of the bus's metrics start with. Default: `roomful`.
    pub metric_prefix: &'static str,
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
            metric_prefix: "roomful",
        }
    }
}

impl Options {
    /// `name`, followed by the scope if there is one.
    pub(crate) fn scoped(&self, name: String) -> String {
        if self.scope.is_empty() {
            return name;
        }
        format!("{name}:{}", self.scope)
    }
}
