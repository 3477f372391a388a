//! Sections `store`, `api` and `shutdown`.

use std::{path::Path, time::Duration};

use serde::Deserialize;

use super::{
    auth::{MIN_API_KEY_BYTES, check_secret},
    error::{Invalid, within},
    units::{Secret, Span},
};

/// Section `store`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) url: String,
    pub(crate) readers: usize,
    pub(crate) pool: usize,
    pub(crate) statement_timeout: Span,
    pub(crate) queue: usize,
    pub(crate) queue_per_user: usize,
    pub(crate) erase_within: Span,
    pub(crate) check_timeout: Span,
}

impl Store {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        // The error must not contain the URL, which may hold a password.
        if let Err(error) = roomful_store::check_url(&self.url) {
            let what = error.to_string();
            return Err(Invalid {
                key: "store.url",
                what: what.strip_prefix("store.url: ").unwrap_or(&what).to_owned(),
            });
        }
        if self
            .sqlite_file()
            .is_some_and(|file| file.to_string_lossy().starts_with(':'))
        {
            let what = "an in-memory store would lose its messages at exit; use \"sqlite:\" or \
                \"sqlite:/path/to/file.db\"";
            return Err(Invalid {
                key: "store.url",
                what: what.to_owned(),
            });
        }
        within("store.readers", self.readers, 1..=16)?;
        within("store.pool", self.pool, 2..=1_000)?;
        within(
            "store.statement_timeout",
            self.statement_timeout,
            Span(Duration::from_millis(100))..=Span(Duration::from_mins(1)),
        )?;
        within("store.queue", self.queue, 16..=1_000_000)?;
        within("store.queue_per_user", self.queue_per_user, 1..=1_000_000)?;
        within(
            "store.erase_within",
            self.erase_within,
            Span(Duration::from_millis(100))..=Span(Duration::from_hours(1)),
        )?;
        within(
            "store.check_timeout",
            self.check_timeout,
            Span(Duration::from_millis(10))..=Span(Duration::from_mins(1)),
        )
    }

    /// The path of an SQLite store, empty for the one in the data folder; `None` for PostgreSQL.
    pub(crate) fn sqlite_file(&self) -> Option<&Path> {
        self.url.strip_prefix("sqlite:").map(Path::new)
    }
}

/// Section `api`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    pub(crate) key: Secret,
    pub(crate) second_key: Secret,
    pub(crate) failures_per_minute: u32,
}

impl Api {
    /// The configured keys: none, one, or two during a rotation.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        [&self.key, &self.second_key]
            .into_iter()
            .filter_map(Secret::expose)
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        for (key, secret) in [("api.key", &self.key), ("api.second_key", &self.second_key)] {
            if let Some(secret) = secret.expose() {
                check_secret(key, secret, MIN_API_KEY_BYTES)?;
            }
        }
        within("api.failures_per_minute", self.failures_per_minute, 1..=1_000_000)
    }
}

/// Section `shutdown`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shutdown {
    pub(crate) delay: Span,
    pub(crate) spread: Span,
    pub(crate) timeout: Span,
    pub(crate) http_timeout: Span,
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
        )?;
        within(
            "shutdown.http_timeout",
            self.http_timeout,
            Span(Duration::ZERO)..=Span(Duration::from_hours(1)),
        )
    }
}
