//! Settings of the log.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::error::Invalid;

/// Section `log`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) filter: String,
    pub(crate) format: Format,
}

/// How a line looks.
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
                "{:?} is no filter; write error, warn, info, debug or trace, or such as \"info,roomful_socket=debug\"",
                self.filter
            );
            Invalid {
                key: "log.filter",
                what,
            }
        };
        // A bare word that is no level would be taken as the name of a module, and silence all else.
        let plain = self.filter.split(',').map(str::trim).all(|part| {
            let level = part.rsplit('=').next().unwrap_or_default();
            ["off", "error", "warn", "info", "debug", "trace"].contains(&level.to_ascii_lowercase().as_str())
        });
        if plain {
            EnvFilter::try_new(&self.filter).map(|_| ()).map_err(|_| wrong())
        } else {
            Err(wrong())
        }
    }
}
