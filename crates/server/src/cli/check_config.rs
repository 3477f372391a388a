//! `roomful check-config`: validates the settings and the files of keys, certificates and words. Changes
//! nothing and connects to nothing.

use std::process::ExitCode;

use super::{Failure, print};
use crate::{
    chat, cluster, config::Config, content_rules::RuleSources, http::tls, secret::Keys,
    start_error::StartError,
};

pub(super) fn run(config: &Config) -> Result<ExitCode, Failure> {
    let keys = Keys::read(config)?;
    chat::keys(&keys)?;
    cluster::check(config)?;
    tls::read(config)?;
    RuleSources::read(config)?.compile(config)?;
    roomful_store::check_files(&config.store_url()).map_err(StartError::Store)?;
    let secret = if keys.is_complete() {
        ""
    } else {
        "; the first start will generate a secret"
    };
    let unknown = config.unknown_variables.iter();
    let warnings: Vec<_> = unknown
        .map(|name| format!("warning: the environment variable {name} is not a setting\n"))
        .collect();
    print(&format!(
        "{}The configuration is valid: listen {}, data {}{}{secret}.\n",
        warnings.concat(),
        config.listen,
        config.data.display(),
        sinks(config)
    ))
}

/// Names of webhooks, streams and hooks. Their URLs may contain passwords.
fn sinks(config: &Config) -> String {
    let webhooks = config
        .webhooks
        .iter()
        .map(|webhook| format!(", webhook {}", webhook.name()));
    let streams = config
        .streams
        .iter()
        .map(|stream| format!(", stream {}", stream.name()));
    let hooks = config.hooks.iter().map(|hook| format!(", hook {}", hook.name()));
    webhooks.chain(streams).chain(hooks).collect()
}
