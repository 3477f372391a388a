//! The process and its surroundings: signals, file permissions, and the file that announces the address.

use std::{fs, io, net::SocketAddr, path::Path};

use rustix::fs::Mode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// SIGTERM or SIGINT, by its name.
    Stop(&'static str),
    /// SIGHUP.
    Reload,
}

/// The signals that the process handles. By default, each of them would end it.
pub(crate) struct Signals {
    term: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    /// Replaces the default action of these signals, which is to end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next request. Logs and ignores SIGUSR1 and SIGUSR2.
    pub(crate) async fn next(&mut self) -> Request {
        loop {
            let ignored = tokio::select! {
                _ = self.term.recv() => return Request::Stop("SIGTERM"),
                _ = self.interrupt.recv() => return Request::Stop("SIGINT"),
                _ = self.hangup.recv() => return Request::Reload,
                _ = self.user1.recv() => "SIGUSR1",
                _ = self.user2.recv() => "SIGUSR2",
            };
            tracing::info!(signal = ignored, "ignoring the signal");
        }
    }

    /// Waits for a request to stop, and names its signal. Logs and ignores a request to reload.
    pub(crate) async fn stop(&mut self) -> &'static str {
        loop {
            match self.next().await {
                Request::Stop(signal) => return signal,
                Request::Reload => tracing::warn!("ignoring SIGHUP while starting or stopping"),
            }
        }
    }
}

/// Makes files that this process creates from now on readable by its own user only: they hold messages and
/// secrets.
pub(crate) fn keep_files_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// The environment variable with the path that [`announce`] writes to.
const PORT_FILE: &str = "ROOMFUL_PORT_FILE";

/// Writes the listen address to the file in `ROOMFUL_PORT_FILE`, if that variable is set, so that the
/// parent process learns which port the server got for port 0. The file appears in one step, never half
/// written.
pub(crate) fn announce(address: SocketAddr) -> io::Result<()> {
    let Some(path) = std::env::var_os(PORT_FILE).filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let mut temporary = path.clone();
    temporary.push(".part");
    fs::write(&temporary, format!("{address}\n"))?;
    fs::rename(Path::new(&temporary), Path::new(&path))
}
