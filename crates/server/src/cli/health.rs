//! `roomful health`: asks the server on this machine whether it is alive, for the health check of a
//! container.

use std::process::ExitCode;

use super::{Failure, local_server, print};
use crate::config::Config;

/// Succeeds if the server at the configured listen address answers `GET /livez` with 200.
pub(super) fn run(config: &Config) -> Result<ExitCode, Failure> {
    let answer = local_server::get(config, "/livez", None)?;
    if answer.status == 200 {
        return print("alive\n");
    }
    Err(Failure::Unreachable(format!(
        "{}: it answered {:?}",
        config.listen, answer.status_line
    )))
}
