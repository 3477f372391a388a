//! Sections `bus` and `cluster`: how nodes reach each other.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    auth::{MIN_CLUSTER_SECRET_BYTES, check_secret},
    error::{Invalid, within},
    units::{Secret, Size, Span},
};

/// Section `bus`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bus {
    /// May contain a password.
    url: Secret,
    pub(crate) prefix: String,
    pub(crate) ca_file: PathBuf,
    pub(crate) queue: usize,
    pub(crate) queue_size: Size,
    pub(crate) timeout: Span,
}

impl Bus {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        roomful_bus::check_url(self.url()).map_err(|error| Invalid {
            key: "bus.url",
            what: error.to_string(),
        })?;
        if self.prefix.contains(['{', '}']) || self.prefix.len() > 64 {
            return Err(Invalid {
                key: "bus.prefix",
                what: "must be at most 64 bytes long, without braces".to_owned(),
            });
        }
        within("bus.queue", self.queue, 16..=10_000_000)?;
        within("bus.queue_size", self.queue_size, Size(1 << 16)..=Size(4 << 30))?;
        within(
            "bus.timeout",
            self.timeout,
            Span(Duration::from_millis(50))..=Span(Duration::from_mins(1)),
        )
    }

    /// The URL of the bus.
    pub(crate) fn url(&self) -> &str {
        self.url.expose().unwrap_or("memory:")
    }

    /// True if other nodes can share this bus.
    pub(crate) fn is_shared(&self) -> bool {
        self.url() != "memory:"
    }
}

/// Section `cluster`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cluster {
    pub(crate) node: String,
    pub(crate) advertise: String,
    pub(crate) secret: Secret,
    pub(crate) second_secret: Secret,
    pub(crate) lease: Span,
    pub(crate) poll: Span,
}

impl Cluster {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        if self.node.len() > 64
            || self
                .node
                .chars()
                .any(|char| char.is_control() || char.is_whitespace())
        {
            return Err(Invalid {
                key: "cluster.node",
                what: "must be at most 64 bytes long, without spaces and control characters".to_owned(),
            });
        }
        if !self.advertise.is_empty() {
            roomful_socket::cluster::check_advertised(&self.advertise).map_err(|error| Invalid {
                key: "cluster.advertise",
                what: error.to_string(),
            })?;
        }
        for (key, secret) in [
            ("cluster.secret", &self.secret),
            ("cluster.second_secret", &self.second_secret),
        ] {
            if let Some(secret) = secret.expose() {
                check_secret(key, secret, MIN_CLUSTER_SECRET_BYTES)?;
            }
        }
        within(
            "cluster.lease",
            self.lease,
            Span(Duration::from_secs(1))..=Span(Duration::from_mins(5)),
        )?;
        within(
            "cluster.poll",
            self.poll,
            Span(Duration::from_millis(10))..=Span(Duration::from_secs(5)),
        )
    }
}
