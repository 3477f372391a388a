//! `roomful serve`: runs the server until SIGTERM or SIGINT.

use std::process::ExitCode;

use tokio::runtime::Runtime;

use super::Failure;
use crate::{
    config::Config,
    lifecycle::{self, Signals},
    log,
    server::Server,
    start_error::StartError,
};

pub(super) fn run(config: &Config) -> Result<ExitCode, Failure> {
    lifecycle::keep_files_private();
    let _log = log::start(&config.log);
    let runtime = Runtime::new().map_err(StartError::Runtime)?;
    runtime.block_on(async {
        let mut signals = Signals::listen().map_err(StartError::Runtime)?;
        let server = tokio::select! {
            server = Server::start(config) => server?,
            signal = signals.next() => {
                tracing::info!(signal, "stopped during start");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let signal = signals.next().await;
        tracing::info!(
            signal,
            "draining: disconnecting clients; a second signal exits at once"
        );
        tokio::select! {
            () = server.stop() => tracing::info!("stopped"),
            signal = signals.next() => {
                tracing::warn!(signal, "exiting before the drain is complete");
                return Ok(ExitCode::from(1));
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
