//! Configuration errors: one line that names the source, the key and the valid values.

use std::{fmt, path::PathBuf};

/// The source of a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The built-in defaults.
    #[default]
    Default,
    /// The user's file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("the defaults"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Env(name) => write!(f, "environment variable {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// An invalid setting. Its text is one line; the process ends with exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {}{what}", key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default())]
pub(crate) struct ConfigError {
    pub(crate) origin: Origin,
    pub(crate) key: Option<String>,
    pub(crate) what: String,
}

impl ConfigError {
    /// An error about a whole source, such as an unreadable file.
    pub(crate) fn layer(origin: Origin, what: impl fmt::Display) -> Self {
        ConfigError {
            origin,
            key: None,
            what: one_line(&what.to_string()),
        }
    }

    /// An error about one key.
    pub(crate) fn key(origin: Origin, key: impl Into<String>, what: impl fmt::Display) -> Self {
        ConfigError {
            origin,
            key: Some(key.into()),
            what: one_line(&what.to_string()),
        }
    }
}

/// A value of the right type that is not valid: the key, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) key: &'static str,
    pub(crate) what: String,
}

/// Returns an error unless `value` is within `allowed`.
pub(crate) fn within<T>(
    key: &'static str,
    value: T,
    allowed: std::ops::RangeInclusive<T>,
) -> Result<(), Invalid>
where
    T: PartialOrd + fmt::Debug + Copy,
{
    if allowed.contains(&value) {
        return Ok(());
    }
    let what = format!(
        "{value:?} is out of bounds; use {:?} to {:?}",
        allowed.start(),
        allowed.end()
    );
    Err(Invalid { key, what })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
