//! Redis streams that receive records: URL, key and event types.

use redis::{ConnectionInfo, IntoConnectionInfo as _};
use serde::Deserialize;

use super::{
    error::{Invalid, within},
    outbox,
    units::Secret,
};

/// Maximum number of streams.
const MAX_STREAMS: usize = 32;
/// Length of a key in bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 1..=512;

/// One entry of `streams`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stream {
    name: Option<String>,
    /// Hidden in logs: it may contain a password.
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
    /// Name of the stream in the outbox, in logs and in metrics. Default: the key.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.key)
    }

    /// Address of its Redis; `None` unless the URL is a `redis:` or `rediss:` URL with a host. A fragment
    /// is invalid: it would turn certificate checks off.
    pub(crate) fn server(&self) -> Option<ConnectionInfo> {
        let url = self.url.expose()?;
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("redis" | "rediss")) || url.contains('#') {
            return None;
        }
        url.into_connection_info().ok()
    }

    /// The event types that it receives.
    pub(crate) fn kinds(&self) -> Vec<roomful_store::RecordKind> {
        outbox::record_kinds(&self.events)
    }
}

/// Validates all streams and adds their names to `names`.
pub(super) fn validate(streams: &[Stream], names: &mut Vec<String>) -> Result<(), Invalid> {
    within("streams", streams.len(), 0..=MAX_STREAMS)?;
    for (index, stream) in streams.iter().enumerate() {
        let what = if stream.server().is_none() {
            Some(
                "url must be a redis: or rediss: URL such as \
                 \"redis://user:password@redis.example:6379/0\"; write special \
                 characters of the password as %XX"
                    .to_owned(),
            )
        } else if !KEY_BYTES.contains(&stream.key.len()) {
            Some("the key must have 1 to 512 bytes".to_owned())
        } else if !(1..=1_000_000_000).contains(&stream.max_len) {
            Some("max_len is out of bounds; use 1 to 1000000000".to_owned())
        } else {
            outbox::unknown_event(&stream.events)
                .or_else(|| outbox::invalid_name(stream.name().to_owned(), names))
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
