//! The errors that end the start-up, and whether a setting is to blame.

use std::{io, path::PathBuf};

use roomful_store::StoreError;
use tokio::task::JoinError;

use crate::{config::ConfigError, http::metrics::MetricsError};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("can't listen on {listen}: {error}; {}", listen_advice(error))]
    Listen { listen: String, error: io::Error },
    #[error("can't open the store: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error("can't write the file in ROOMFUL_PORT_FILE: {0}")]
    PortFile(io::Error),
    #[error("can't send webhooks: {0}")]
    Webhooks(io::Error),
    #[error("can't fetch the keys of auth.issuers: {0}")]
    Issuers(io::Error),
    #[error("can't ask hooks: {0}")]
    Hooks(io::Error),
    #[error("can't start the runtime: {0}")]
    Runtime(io::Error),
    #[error("another server is running on {0}; stop it first, or choose another folder with --data")]
    Locked(PathBuf),
    #[error("a task of the start-up panicked: {0}")]
    Fault(#[from] JoinError),
}

/// What to do about a failure to listen.
fn listen_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 take the capability CAP_NET_BIND_SERVICE: grant it, or choose another address \
             with --listen"
        }
        io::ErrorKind::AddrInUse => "choose another address with --listen, or stop the process that uses it",
        _ => "choose an address of this machine with --listen",
    }
}

impl StartError {
    /// Whether a setting is invalid, as opposed to a failure of the system. Decides the exit code.
    pub(crate) fn is_setting(&self) -> bool {
        match self {
            StartError::Config(_) | StartError::Store(StoreError::Setup(_)) => true,
            // These two depend on the system's state. Any other error means that the address is not of this
            // machine.
            StartError::Listen { error, .. } => !matches!(
                error.kind(),
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
            ),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_to_listen_says_what_to_do() {
        for (kind, advice) in [
            (io::ErrorKind::PermissionDenied, "CAP_NET_BIND_SERVICE"),
            (io::ErrorKind::AddrInUse, "stop the process that uses it"),
            (io::ErrorKind::AddrNotAvailable, "an address of this machine"),
        ] {
            let (listen, error) = ("0.0.0.0:443".to_owned(), kind.into());
            let text = StartError::Listen { listen, error }.to_string();
            assert!(text.contains(advice), "{text}");
        }
    }
}
