//! Settings of what stands behind the server: store, API key, and how long a shutdown may take.

use std::{path::Path, time::Duration};

use serde::Deserialize;

use super::{
    error::{Invalid, within},
    units::{Secret, Span},
};

/// Section `store`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) url: String,
    pub(crate) readers: usize,
    pub(crate) queue: usize,
    pub(crate) check_timeout: Span,
}

impl Store {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        if self.sqlite_file().is_none() {
            // Other schemes carry passwords: only the scheme is shown.
            let scheme = self.url.split_once(':').map_or("no scheme", |(scheme, _)| scheme);
            let what = format!(
                "this build has no store for {scheme:?}; use \"sqlite:\" or \"sqlite:/path/to/file.db\""
            );
            return Err(Invalid {
                key: "store.url",
                what,
            });
        }
        if self
            .sqlite_file()
            .is_some_and(|file| file.to_string_lossy().starts_with(':'))
        {
            let what = "the store is a file, since memory would forget; use \"sqlite:\" or \"sqlite:/path/to/file.db\"";
            return Err(Invalid {
                key: "store.url",
                what: what.to_owned(),
            });
        }
        within("store.readers", self.readers, 1..=16)?;
        within("store.queue", self.queue, 16..=1_000_000)?;
        within(
            "store.check_timeout",
            self.check_timeout,
            Span(Duration::from_millis(10))..=Span(Duration::from_mins(1)),
        )
    }

    /// The path of an SQLite store: empty for the one in the data folder.
    pub(crate) fn sqlite_file(&self) -> Option<&Path> {
        self.url.strip_prefix("sqlite:").map(Path::new)
    }
}

/// Section `api`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    pub(crate) key: Secret,
}

/// Section `shutdown`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shutdown {
    pub(crate) delay: Span,
    pub(crate) spread: Span,
    pub(crate) timeout: Span,
}

impl Shutdown {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within(
            "shutdown.delay",
            self.delay,
            Span(Duration::ZERO)..=Span(Duration::from_hours(1)),
        )?;
        within(
            "shutdown.spread",
            self.spread,
            Span(Duration::ZERO)..=Span(Duration::from_hours(1)),
        )?;
        within(
            "shutdown.timeout",
            self.timeout,
            Span(Duration::ZERO)..=Span(Duration::from_hours(1)),
        )
    }
}
