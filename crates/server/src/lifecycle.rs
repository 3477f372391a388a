//! The process and its surroundings: signals, file permissions, and the file that announces the address.

use std::{fs, io, net::SocketAddr, path::Path};

use rustix::fs::Mode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A receiver of SIGTERM and SIGINT.
pub(crate) struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Replaces the default action of both signals, which would end the process at once.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal and returns its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
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

/// Writes the listen address to the file in `ROOMFUL_PORT_FILE`, if that variable is set, so that the parent
/// process learns which port the server got for port 0. The file appears in one step, never half written.
pub(crate) fn announce(address: SocketAddr) -> io::Result<()> {
    let Some(path) = std::env::var_os(PORT_FILE).filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let mut temporary = path.clone();
    temporary.push(".part");
    fs::write(&temporary, format!("{address}\n"))?;
    fs::rename(Path::new(&temporary), Path::new(&path))
}
