//! Reloading of settings on SIGHUP, while clients stay connected.

use roomful_chat::{ContentRules, KeyTable};

use crate::{
    chat,
    config::{Config, ConfigError, FlatSettings, RULES},
    content_rules::RuleSources,
    http::{
        api::key::ApiKeys,
        tls::{self, Certificate},
    },
    in_force::InForce,
    log::LogFilter,
    secret::Keys,
    webhooks::SigningKeys,
};

/// Fields of a webhook or a hook that a reload can change.
const ENDPOINT_SECRETS: [&str; 2] = ["secret", "second_secret"];

/// Handles to the parts of a running server that take new settings. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handles {
    pub(crate) tokens: KeyTable,
    pub(crate) api_keys: ApiKeys,
    pub(crate) content_rules: ContentRules,
    /// The signing keys of each webhook, by its name.
    pub(crate) webhooks: Vec<(String, SigningKeys)>,
    /// The signing keys of each hook, by its name.
    pub(crate) hooks: Vec<(String, SigningKeys)>,
    /// The certificate of the public listener, if it speaks TLS.
    pub(crate) certificate: Option<Certificate>,
    /// The settings that the HTTP API shows.
    pub(crate) in_force: InForce,
}

/// Applies new settings to a running server, and remembers which ones are in effect.
pub(crate) struct Reloader {
    /// The settings in effect: those from the start, with the reloaded ones.
    effective: FlatSettings,
    /// The fingerprint of the content rules in effect. The words of a file may change without a change of
    /// settings.
    rules: u64,
    /// The keys in effect. The content of key files may change without a change of settings.
    keys: Keys,
    handles: Handles,
    log: LogFilter,
}

/// Result of a reload: setting keys in alphabetical order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reloaded {
    /// Changed settings that are in effect now.
    pub(crate) applied: Vec<String>,
    /// Changed settings that need a restart.
    pub(crate) need_restart: Vec<String>,
}

impl Reloader {
    /// A reloader for a server that started with `config` and `keys`.
    pub(crate) fn new(config: &Config, (keys, rules): (Keys, u64), handles: Handles, log: LogFilter) -> Self {
        Reloader {
            rules,
            effective: config.flat.clone(),
            keys,
            handles,
            log,
        }
    }

    /// Applies those settings of `config` that have changed and can change without a restart.
    ///
    /// # Errors
    /// If a key for tokens, the certificate or a content rule is invalid. Nothing changes then.
    pub(crate) fn apply(&mut self, config: &Config) -> Result<Reloaded, ConfigError> {
        let changed = self.effective.changed_keys(&config.flat);
        let keys = Keys::read(config)?;
        let table = chat::keys(&keys)?;
        let pair = tls::read(config)?;
        let sources = RuleSources::read(config)?;
        let rules = sources.fingerprint();
        let compiled = (rules != self.rules)
            .then(|| sources.compile(config))
            .transpose()?;
        let mut reloaded = Reloaded::default();
        for key in changed {
            if self.apply_key(&key, config, &keys) {
                self.effective.adopt(&key, &config.flat);
                reloaded.applied.push(key);
            } else {
                reloaded.need_restart.push(key);
            }
        }
        if let Some(compiled) = compiled {
            self.handles.content_rules.replace(compiled);
            self.rules = rules;
            if !reloaded.applied.iter().any(|key| key == RULES) {
                reloaded.applied.push(RULES.to_owned());
            }
        }
        // Without any key, the server would refuse everyone. A restart generates a secret.
        if keys.is_complete() && keys != self.keys {
            self.handles.tokens.replace(&table);
            if !reloaded.applied.iter().any(|key| key.starts_with("auth.")) {
                reloaded.applied.push("auth.keys".to_owned());
            }
            self.keys = keys;
        }
        if let (Some(certificate), Some(pair)) = (&self.handles.certificate, pair)
            && certificate.replace(pair)
            && !reloaded.applied.iter().any(|key| key.starts_with("http.tls."))
        {
            reloaded.applied.push("http.tls".to_owned());
        }
        self.handles.in_force.replace(&self.effective)?;
        Ok(reloaded)
    }

    /// Applies one changed setting; false if it needs a restart. `apply` itself replaces the keys for
    /// tokens and the certificate.
    fn apply_key(&self, key: &str, config: &Config, keys: &Keys) -> bool {
        match key {
            "log.filter" => self.log.set(&config.log),
            "api.key" | "api.second_key" | "api.keys" => {
                self.handles.api_keys.replace(config.api.keys());
                true
            }
            // Compiled already.
            RULES => true,
            "auth.secret" | "auth.second_secret" | "auth.keys" => keys.is_complete(),
            "http.tls.cert" | "http.tls.key" => self.handles.certificate.is_some() && config.http.tls.is_on(),
            "webhooks" if self.has_new_secrets_only(config, key) => {
                let webhooks = config.webhooks.iter();
                let secrets = webhooks.map(|webhook| (webhook.name(), webhook.keys()));
                replace_secrets(&self.handles.webhooks, secrets);
                true
            }
            "hooks" if self.has_new_secrets_only(config, key) => {
                let hooks = config.hooks.iter();
                let secrets = hooks.map(|hook| (hook.name().to_owned(), hook.keys()));
                replace_secrets(&self.handles.hooks, secrets);
                true
            }
            _ => false,
        }
    }

    /// Whether only secrets of a list of endpoints have changed.
    fn has_new_secrets_only(&self, config: &Config, key: &str) -> bool {
        self.effective
            .differ_only_in(&config.flat, key, &ENDPOINT_SECRETS)
    }
}

/// Replaces the signing keys of endpoints by the secrets of their names.
fn replace_secrets(
    running: &[(String, SigningKeys)],
    secrets: impl Iterator<Item = (String, Option<Vec<Vec<u8>>>)>,
) {
    for (name, secrets) in secrets {
        let own = running.iter().find(|(known, _)| *known == name);
        if let (Some((_, signing)), Some(secrets)) = (own, secrets) {
            signing.replace(&secrets);
        }
    }
}
