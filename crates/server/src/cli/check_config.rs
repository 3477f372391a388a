//! `roomful check-config`: loads the settings as the server would, files of keys and certificates included, and says so. It
//! changes nothing, and connects to nothing.

use std::process::ExitCode;

use super::{Failure, answer};
use crate::{chat, cluster, config::Config, secret::Keys, server::StartError};

pub(super) fn run(config: &Config) -> Result<ExitCode, Failure> {
    let keys = Keys::look(config)?;
    chat::keys(&keys)?;
    cluster::check(config)?;
    roomful_store::check_files(&config.store_url()).map_err(StartError::Store)?;
    let secret = if keys.is_complete() {
        ""
    } else {
        "; a secret will be made on the first start"
    };
    let unknown = config.unknown_variables.iter();
    let warnings: Vec<_> = unknown
        .map(|name| format!("warning: the environment variable {name} means nothing\n"))
        .collect();
    answer(&format!(
        "{}The configuration is valid: listen {}, data {}{}{secret}.\n",
        warnings.concat(),
        config.listen,
        config.data.display(),
        told(config)
    ))
}

/// Who is told what happens, by name: their URLs may hold passwords.
fn told(config: &Config) -> String {
    let webhooks = config
        .webhooks
        .iter()
        .map(|webhook| format!(", webhook {}", webhook.name()));
    let streams = config
        .streams
        .iter()
        .map(|stream| format!(", stream {}", stream.name()));
    webhooks.chain(streams).collect()
}
