//! The settings of the process and the order of their sources. `default.toml` describes each setting: it is
//! both the printed reference and the source of the defaults. The structs here give the settings types and
//! bounds.

mod audit;
mod auth;
mod changes;
mod chat;
mod cluster;
mod error;
mod hooks;
mod http;
mod issuers;
mod layers;
mod limits;
mod listing;
mod log;
mod moderation;
mod origins;
mod outbox;
mod reports;
mod secrets;
mod socket;
mod store;
mod streams;
mod units;
mod webhooks;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub(crate) use self::{
    audit::Audit,
    auth::{Algorithm, Auth, AuthKey, MIN_SECRET_BYTES},
    changes::FlatSettings,
    chat::{History, Notifications, Presence, Recovery, Rooms, Typing, VisibleTo},
    cluster::{Bus, Cluster},
    error::{ConfigError, Origin},
    hooks::{Hook, OnFailure},
    http::{Dev, Http},
    issuers::{Issuer, IssuerClaims, KeyLocation},
    limits::Limits,
    listing::{Setting, Shown, listing},
    log::{Format, Log},
    moderation::{Moderation, RULES, Rule},
    origins::Origins,
    outbox::Outbox,
    reports::Reports,
    socket::Socket,
    store::{Api, Shutdown, Store},
    streams::Stream,
    units::Span,
    webhooks::Webhook,
};
use self::{error::Invalid, layers::Layers};

/// Every setting with its comment and default: what `roomful default-config` prints.
pub(crate) const DEFAULT_TEXT: &str = include_str!("default.toml");

/// All settings, validated.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) listen: String,
    pub(crate) data: PathBuf,
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) streams: Vec<Stream>,
    #[serde(deserialize_with = "hooks::named")]
    pub(crate) hooks: Vec<Hook>,
    pub(crate) dev: Dev,
    pub(crate) http: Http,
    pub(crate) socket: Socket,
    pub(crate) limits: Limits,
    pub(crate) rooms: Rooms,
    pub(crate) history: History,
    pub(crate) recovery: Recovery,
    pub(crate) notifications: Notifications,
    pub(crate) presence: Presence,
    pub(crate) typing: Typing,
    pub(crate) auth: Auth,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) cluster: Cluster,
    pub(crate) api: Api,
    pub(crate) audit: Audit,
    pub(crate) reports: Reports,
    pub(crate) outbox: Outbox,
    pub(crate) moderation: Moderation,
    pub(crate) log: Log,
    pub(crate) shutdown: Shutdown,
    /// Source of `auth.keys`, for errors that only show when a key is loaded.
    #[serde(skip)]
    pub(crate) origin_of_keys: Origin,
    /// Source of each key, for errors that only show when a setting is used.
    #[serde(skip)]
    pub(crate) origins: Origins,
    /// Files that contain secrets of this configuration.
    #[serde(skip)]
    pub(crate) secret_files: Vec<PathBuf>,
    /// All settings by key, for comparing two configurations and for operators.
    #[serde(skip)]
    pub(crate) flat: FlatSettings,
    /// Variables named `ROOMFUL_…` that are no setting. Not an error: other programs may use the prefix.
    #[serde(skip)]
    pub(crate) unknown_variables: Vec<String>,
}

/// The sources that override the defaults.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The user's file.
    pub(crate) file: Option<PathBuf>,
    /// Environment variables; `load` ignores those without our prefix.
    pub(crate) env: Vec<(String, String)>,
    /// Flags: name, key and value.
    pub(crate) flags: Vec<(&'static str, &'static str, String)>,
}

impl Config {
    /// Merges the sources over the defaults and validates every value.
    pub(crate) fn load(sources: Sources) -> Result<Config, ConfigError> {
        let mut layers = Layers::new(DEFAULT_TEXT)?;
        if let Some(path) = &sources.file {
            layers.file(path)?;
        }
        layers.env(sources.env)?;
        for (flag, key, text) in sources.flags {
            layers.flag(flag, key, &text)?;
        }
        layers.resolve_secrets()?;
        let mut config = Config::from_layers(&layers)?;
        config.unknown_variables = layers.take_unknown_variables();
        config.origin_of_keys = layers.origin("auth.keys");
        config.origins = layers.origins().clone();
        config.secret_files = layers.secret_files();
        config.flat = FlatSettings::new(layers.table(), layers.origins().clone());
        config
            .validate()
            .map_err(|Invalid { key, what }| ConfigError::key(layers.origin(key), key, what))?;
        Ok(config)
    }

    fn from_layers(layers: &Layers) -> Result<Config, ConfigError> {
        serde_path_to_error::deserialize(layers.table()).map_err(
            |error: serde_path_to_error::Error<toml::de::Error>| {
                let key = error.path().to_string();
                ConfigError::key(layers.origin(&key), key, error.inner().message())
            },
        )
    }

    /// The configuration with these settings, which were valid before. It lacks the sources.
    pub(crate) fn of(settings: &FlatSettings) -> Result<Config, ConfigError> {
        Config::deserialize(settings.table()).map_err(|error| {
            let what = error.message();
            ConfigError::layer(Origin::Default, what)
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        http::check_listen(&self.listen)?;
        self.dev.validate(&self.listen)?;
        self.http.validate()?;
        self.socket.validate()?;
        self.limits.validate()?;
        self.rooms.validate()?;
        self.history.validate()?;
        self.recovery.validate()?;
        self.notifications.validate()?;
        self.presence.validate()?;
        self.typing.validate()?;
        self.auth.validate()?;
        self.store.validate()?;
        self.bus.validate()?;
        if self.http.tls.is_on() && self.bus.is_shared() {
            let what = "the nodes of a cluster send requests to each other over plain HTTP; leave TLS to the \
                        load balancer, and http.tls.cert and http.tls.key empty";
            return Err(Invalid {
                key: "http.tls.cert",
                what: what.to_owned(),
            });
        }
        self.cluster.validate()?;
        self.api.validate()?;
        self.audit.validate()?;
        self.reports.validate()?;
        let mut sinks = Vec::new();
        webhooks::validate(&self.webhooks, &mut sinks)?;
        streams::validate(&self.streams, &mut sinks)?;
        hooks::validate(&self.hooks)?;
        self.outbox.validate()?;
        self.moderation.validate()?;
        self.log.validate()?;
        self.shutdown.validate()
    }

    /// True if any webhook or stream is configured.
    pub(crate) fn has_sinks(&self) -> bool {
        !(self.webhooks.is_empty() && self.streams.is_empty())
    }

    /// True if the listen address is not a loopback address.
    pub(crate) fn listens_publicly(&self) -> bool {
        !http::is_loopback(&self.listen)
    }

    /// Path of the generated secret.
    pub(crate) fn secret_path(&self) -> PathBuf {
        self.data.join("auth.secret")
    }

    /// The URL that opens the store: a bare `sqlite:` becomes the file in the data folder.
    pub(crate) fn store_url(&self) -> String {
        match self.store.sqlite_file() {
            Some(file) if file == Path::new("") => {
                format!("sqlite:{}", self.data.join("roomful.db").display())
            }
            _ => self.store.url.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
