//! Settings of the Redis streams to which records are added: where they are and what they want.

use redis::{ConnectionInfo, IntoConnectionInfo as _};
use serde::Deserialize;

use super::{
    error::{Invalid, within},
    outbox,
    units::Secret,
};

/// Streams in all.
const MOST: usize = 32;
/// Bytes of a key.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 1..=512;

/// One entry of `streams`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stream {
    name: Option<String>,
    /// Not shown in logs: it may hold a password.
    url: Secret,
    pub(crate) key: String,
    events: Vec<String>,
    #[serde(default = "max_len")]
    pub(crate) max_len: u64,
}

fn max_len() -> u64 {
    1_000_000
}

impl Stream {
    /// The name under which its records wait, and which logs and metrics show: the one given, or the key.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.key)
    }

    /// Its Redis; `None` if the URL is no `redis:` or `rediss:` URL with a host. A fragment is refused: it would turn
    /// the check of certificates off.
    pub(crate) fn server(&self) -> Option<ConnectionInfo> {
        let url = self.url.expose()?;
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("redis" | "rediss")) || url.contains('#') {
            return None;
        }
        url.into_connection_info().ok()
    }

    /// What it wants.
    pub(crate) fn kinds(&self) -> Vec<roomful_store::RecordKind> {
        outbox::kinds(&self.events)
    }
}

/// Checks all streams, and adds their names to those of the sinks.
pub(super) fn validate(streams: &[Stream], names: &mut Vec<String>) -> Result<(), Invalid> {
    within("streams", streams.len(), 0..=MOST)?;
    for (index, stream) in streams.iter().enumerate() {
        let what = if stream.server().is_none() {
            Some(
                "url is no redis: or rediss: URL such as \"redis://user:password@redis.example:6379/0\"; write special \
                 characters of the password as %XX"
                    .to_owned(),
            )
        } else if !KEY_BYTES.contains(&stream.key.len()) {
            Some("the key must have 1 to 512 bytes".to_owned())
        } else if !(1..=1_000_000_000).contains(&stream.max_len) {
            Some("max_len is out of bounds; allowed is 1 to 1000000000".to_owned())
        } else {
            outbox::unknown(&stream.events).or_else(|| outbox::unfit(stream.name().to_owned(), names))
        };
        if let Some(what) = what {
            return Err(Invalid {
                key: "streams",
                what: format!("entry {}: {what}", index + 1),
            });
        }
    }
    Ok(())
}
