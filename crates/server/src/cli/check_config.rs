//! `roomful check-config`: loads the settings as the server would, key files included, and says so. It changes nothing.

use std::process::ExitCode;

use super::{Failure, answer};
use crate::{chat, config::Config, secret::Keys};

pub(super) fn run(config: &Config) -> Result<ExitCode, Failure> {
    let keys = Keys::look(config)?;
    chat::keys(&keys)?;
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
