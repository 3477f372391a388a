//! The settings that the workload needs: secrets in files, which it rotates.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;

use roomful_testkit::Error;
use roomful_testkit::server::{self, SECRET};
use tempfile::TempDir;

use super::slots::Slots;
use super::violation::SecretKind;
use crate::error::TortureError;

/// The secret that nodes derive from the token secret otherwise. Its rotation would need restarts.
const CLUSTER_SECRET: &str = "torture-cluster-secret-0123456789";
const SCOPES: &str = r#"["rooms:read", "rooms:write", "messages:read", "messages:write", "users:read",
    "users:write", "notifications:write", "moderation", "files:write", "stats:read", "admin"]"#;

/// A folder with the settings and the secrets, which all nodes share.
#[derive(Debug)]
pub(crate) struct Setup {
    folder: TempDir,
    pub(super) api_keys: Slots,
    pub(super) token_secrets: Slots,
}

impl Setup {
    pub(crate) fn new() -> Result<Self, TortureError> {
        Self::create().map_err(io_error)
    }

    fn create() -> io::Result<Self> {
        let folder = TempDir::with_prefix("torture-")?;
        let setup = Self {
            api_keys: Slots::create(SecretKind::ApiKey, folder.path())?,
            token_secrets: Slots::create(SecretKind::TokenSecret, folder.path())?,
            folder,
        };
        fs::write(setup.file(), setup.settings())?;
        Ok(setup)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("roomful.toml")
    }

    /// The clients of the other workloads sign their tokens with the fixed secret.
    fn settings(&self) -> String {
        let texts = |slots: &Slots| slots.files().each_ref().map(|file| file.display().to_string());
        let [first, second] = texts(&self.token_secrets);
        let mut settings = format!(
            "[auth]\nsecret_file = {first:?}\nsecond_secret_file = {second:?}\n\
             [[auth.keys]]\nalgorithm = \"HS256\"\nsecret = {SECRET:?}\n"
        );
        for (slot, file) in texts(&self.api_keys).into_iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(
                settings,
                "[[api.keys]]\nname = \"moderation-{slot}\"\nsecret_file = {file:?}\nscopes = {SCOPES}\n"
            );
        }
        settings
    }

    /// Makes a server start with these settings.
    pub(crate) fn apply(&self, config: &mut server::Config) {
        config
            .args
            .extend(["--config".to_owned(), self.file().display().to_string()]);
        let variables = [
            ("ROOMFUL_AUTH_SECRET", ""),
            ("ROOMFUL__CLUSTER__SECRET", CLUSTER_SECRET),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        config.env.extend(variables);
    }
}

pub(super) fn io_error(source: io::Error) -> TortureError {
    let doing = "writing secrets for the nodes";
    Error::Io { doing, source }.into()
}
