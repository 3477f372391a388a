//! Section `log`.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::error::{Invalid, within};

/// Section `log`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) filter: String,
    pub(crate) format: Format,
    pub(crate) queue: usize,
    pub(crate) connections: u64,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Auto,
    Human,
    Json,
}

impl Log {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let wrong = || {
            let what = format!(
                "{:?} is not a filter; write error, warn, info, debug or trace, or a list like \
                 \"info,roomful_socket=debug\"",
                self.filter
            );
            Invalid {
                key: "log.filter",
                what,
            }
        };
        // EnvFilter takes an unknown word as a module name, which would silence everything else.
        let plain = self.filter.split(',').map(str::trim).all(|part| {
            let level = part.rsplit('=').next().unwrap_or_default();
            ["off", "error", "warn", "info", "debug", "trace"].contains(&level.to_ascii_lowercase().as_str())
        });
        if !plain || EnvFilter::try_new(&self.filter).is_err() {
            return Err(wrong());
        }
        within("log.queue", self.queue, 1..=10_000_000)
    }
}
