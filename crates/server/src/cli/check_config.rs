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
        "{}The configuration is valid: listen {}, data {}{secret}.\n",
        warnings.concat(),
        config.listen,
        config.data.display()
    ))
}
