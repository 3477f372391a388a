//! Sections `store`, `api` and `shutdown`.

use std::{path::Path, time::Duration};

use serde::Deserialize;

use super::{
    auth::{MIN_API_KEY_BYTES, check_secret},
    error::{Invalid, within},
    units::{Secret, Size, Span},
};
use crate::scope::{Caller, Scope};

/// The longest name of an API key, in bytes.
const MAX_KEY_NAME: usize = 64;

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
    pub(crate) compact_up_to: Size,
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
    pub(crate) keys: Vec<ScopedKey>,
}

/// One entry of `api.keys`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopedKey {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) secret: Secret,
    pub(crate) scopes: Vec<String>,
}

impl ScopedKey {
    fn validate(&self) -> Result<(), Invalid> {
        let wrong = |what: String| {
            Err(Invalid {
                key: "api.keys",
                what,
            })
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || self.name.len() > MAX_KEY_NAME || !self.name.chars().all(plain) {
            return wrong(format!(
                "{:?} is no name for a key; write 1 to {MAX_KEY_NAME} letters, digits, '-', '_' or '.'",
                self.name
            ));
        }
        let Some(secret) = self.secret.expose() else {
            return wrong(format!(
                "the key {:?} has no secret; set secret or secret_file",
                self.name
            ));
        };
        check_secret("api.keys", secret, MIN_API_KEY_BYTES)?;
        if let Some(scope) = self.scopes.iter().find(|scope| Scope::of(scope).is_none()) {
            let known = Scope::ALL.map(Scope::name).join(", ");
            return wrong(format!("there is no scope {scope:?}; the scopes are {known}"));
        }
        Ok(())
    }
}

impl Api {
    /// The configured keys, each with its name and its scopes.
    pub(crate) fn keys(&self) -> Vec<(&str, Caller)> {
        let own = [("default", &self.key), ("second", &self.second_key)];
        let own = own
            .into_iter()
            .filter_map(|(name, key)| Some((key.expose()?, Caller::new(name, Scope::ALL))));
        let scoped = self.keys.iter().filter_map(|key| {
            let scopes = key.scopes.iter().filter_map(|scope| Scope::of(scope));
            Some((key.secret.expose()?, Caller::new(&key.name, scopes)))
        });
        own.chain(scoped).collect()
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        for (key, secret) in [("api.key", &self.key), ("api.second_key", &self.second_key)] {
            if let Some(secret) = secret.expose() {
                check_secret(key, secret, MIN_API_KEY_BYTES)?;
            }
        }
        self.keys.iter().try_for_each(ScopedKey::validate)?;
        self.check_unique()?;
        within("api.failures_per_minute", self.failures_per_minute, 1..=1_000_000)
    }

    /// Names appear in the audit log, and a secret decides which key a call has.
    fn check_unique(&self) -> Result<(), Invalid> {
        let keys = self.keys();
        for (index, (secret, caller)) in keys.iter().enumerate() {
            let rest = keys.iter().skip(index + 1);
            for (other, namesake) in rest {
                let what = if secret == other {
                    "two keys have the same secret; give each its own"
                } else if caller.actor() == namesake.actor() {
                    "two keys have the same name, or one is called default or second; give each its own name"
                } else {
                    continue;
                };
                return Err(Invalid {
                    key: "api.keys",
                    what: what.to_owned(),
                });
            }
        }
        Ok(())
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
