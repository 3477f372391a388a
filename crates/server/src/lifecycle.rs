//! What comes from outside to the living process: signals; and what it tells outside: where it listens.

use std::{fs, io, net::SocketAddr, path::Path};

use rustix::fs::Mode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT.
pub(crate) struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes both signals over from the system's default, which is to end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for either, and names it.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Files that this process makes from now on are for its own user: messages and secrets are nobody else's.
pub(crate) fn keep_files_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// The variable that names the file `announce` writes to.
const PORT_FILE: &str = "ROOMFUL_PORT_FILE";

/// Writes the address to the file that the variable `ROOMFUL_PORT_FILE` names, if it is set, so that whoever started us
/// on port 0 learns the port. The file appears whole or not at all.
pub(crate) fn announce(address: SocketAddr) -> io::Result<()> {
    let Some(path) = std::env::var_os(PORT_FILE).filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let mut passing = path.clone();
    passing.push(".part");
    fs::write(&passing, format!("{address}\n"))?;
    fs::rename(Path::new(&passing), Path::new(&path))
}
