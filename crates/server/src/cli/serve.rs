//! `roomful serve`: runs the server until SIGTERM or SIGINT, and reloads settings on SIGHUP.

use std::process::ExitCode;

use tokio::runtime::Runtime;

use super::Failure;
use crate::{
    config::{Config, ConfigError},
    lifecycle::{self, Request, Signals},
    log,
    reload::Reloader,
    server::Server,
    start_error::StartError,
    store::StoreDecorator,
    systemd::{self, State},
};

/// Reads the settings from all sources, at start and at each reload.
type Load<'a> = &'a dyn Fn() -> Result<Config, ConfigError>;

/// A failure is one more line of the log, in the log's format.
pub(super) fn run(load: Load<'_>, decorate: StoreDecorator) -> Result<ExitCode, Failure> {
    let (format, outcome) = match load() {
        Ok(config) => (config.log.format, serve(load, &config, decorate)),
        Err(error) => (log::format_without_settings(), Err(error.into())),
    };
    match outcome {
        Err(failure) if log::is_json(format) => {
            log::print_fatal(&failure.to_string());
            Ok(failure.exit_code())
        }
        outcome => outcome,
    }
}

fn serve(load: Load<'_>, config: &Config, decorate: StoreDecorator) -> Result<ExitCode, Failure> {
    lifecycle::keep_files_private();
    let (log, _guard) = log::start(&config.log);
    let runtime = Runtime::new().map_err(StartError::Runtime)?;
    runtime.block_on(async {
        let mut signals = Signals::listen().map_err(StartError::Runtime)?;
        let server = tokio::select! {
            server = Server::start(config, decorate) => server?,
            signal = signals.stop() => {
                tracing::info!(signal, "stopped during start");
                return Ok(ExitCode::SUCCESS);
            }
        };
        systemd::notify(State::Ready);
        let mut reloader = server.reloader(config, log);
        let signal = loop {
            match signals.next().await {
                Request::Stop(signal) => break signal,
                Request::Reload => reload(load, &mut reloader),
            }
        };
        systemd::notify(State::Stopping);
        tracing::info!(
            signal,
            "draining: disconnecting clients; a second signal exits at once"
        );
        tokio::select! {
            () = server.stop() => tracing::info!("stopped"),
            signal = signals.stop() => {
                tracing::warn!(signal, "exiting before the drain is complete");
                return Ok(ExitCode::from(1));
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Rereads the settings and logs which changes are in effect. After an error the old ones stay in effect.
fn reload(load: Load<'_>, running: &mut Reloader) {
    systemd::notify(State::Reloading);
    match load().and_then(|config| running.apply(&config)) {
        Ok(reloaded) => {
            if reloaded.applied.is_empty() {
                tracing::info!("reloaded the settings: none has changed that takes effect now");
            } else {
                tracing::info!(applied = reloaded.applied.join(", "), "reloaded the settings");
            }
            if !reloaded.need_restart.is_empty() {
                let settings = reloaded.need_restart.join(", ");
                tracing::warn!(settings, "some changed settings need a restart");
            }
        }
        Err(error) => tracing::error!(%error, "failed to reload the settings, keeping the old ones"),
    }
    systemd::notify(State::Ready);
}
