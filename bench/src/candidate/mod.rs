//! The candidates: each is one value with its installation, start command and protocol.

mod bun;
mod centrifugo;
mod floor;
mod install;
mod node;
mod python;
mod roomful;
mod socketioxide;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::error::BenchError;
use crate::loader::dialect::Dialect;

/// The secret of all tokens (HS256); every server that checks tokens knows it.
pub(crate) const SECRET: &str = "bench-secret-0123456789-0123456789-0123456789";

/// The work of a server in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Rooms and messages; no token, no store, no ack.
    Bare,
    /// A token at connect; a message is on disk before its ack.
    Chat,
}

/// A server to measure.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// Its name on the command line and in stored results.
    pub(crate) name: &'static str,
    /// Its name in a report.
    pub(crate) label: &'static str,
    /// Its protocol.
    pub(crate) dialect: Dialect,
    /// True if the first installation takes minutes, since it compiles.
    pub(crate) compiled: bool,
    /// Installs it if needed and returns its versions, or the reason why that is impossible.
    pub(crate) install: fn(&Checkout) -> Result<String, Skip>,
    /// A path that answers 200 once the server is ready. Without one, a server that accepts connections is
    /// ready.
    pub(crate) ready: Option<&'static str>,
    /// The start command.
    pub(crate) command: fn(&Checkout, &Launch<'_>) -> Command,
}

/// Parameters of a start.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// The port on loopback.
    pub(crate) port: u16,
    /// The work.
    pub(crate) mode: Mode,
    /// The data folder.
    pub(crate) folder: &'a Path,
    /// The services of its cluster, if it is in one.
    pub(crate) links: Option<&'a Links>,
}

/// URLs of a cluster's services.
#[derive(Debug)]
pub(crate) struct Links {
    /// The Redis that connects the nodes.
    pub(crate) redis: String,
    /// An empty database for messages, in durable runs.
    pub(crate) postgres: Option<String>,
}

/// The reason why a candidate does not take part.
#[derive(Clone, Debug)]
pub(crate) struct Skip(pub(crate) String);

/// All candidates, in the order of reports.
pub(crate) const ALL: &[Candidate] = &[
    floor::PLAIN,
    floor::BATCHED,
    roomful::SOCKET,
    roomful::CHAT,
    socketioxide::CANDIDATE,
    node::CANDIDATE,
    node::REDIS,
    node::SHARDED,
    bun::CANDIDATE,
    centrifugo::CANDIDATE,
    centrifugo::REDIS,
    centrifugo::POSTGRES,
    python::CANDIDATE,
];

/// The candidate of that name. A test checks that every name in a workload exists.
pub(crate) fn by_name(name: &str) -> Option<&'static Candidate> {
    ALL.iter().find(|candidate| candidate.name == name)
}

/// Sets the installation deadline, in clock nanoseconds.
pub(crate) fn set_install_deadline(deadline: u64) {
    install::set_deadline(deadline);
}

/// Folders below the repository's root, which is the working directory.
#[derive(Debug)]
pub(crate) struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// The current folder, if it is the repository's root.
    pub(crate) fn here() -> Result<Self, BenchError> {
        let root = std::env::current_dir().map_err(BenchError::file("."))?;
        if !root.join("bench/peers").is_dir() {
            return Err(BenchError::Checkout);
        }
        Ok(Self { root })
    }

    /// The repository's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A peer's own files.
    pub(crate) fn peer(&self, name: &str) -> PathBuf {
        self.root.join("bench/peers").join(name)
    }

    /// A peer's build output.
    pub(crate) fn built(&self, name: &str) -> PathBuf {
        self.root.join("target/bench").join(name)
    }

    /// Cargo's build output.
    pub(crate) fn release(&self, name: &str) -> PathBuf {
        self.root.join("target/release").join(name)
    }

    /// An empty folder on the measured disk; removed with the value.
    pub(crate) fn fresh_folder(&self) -> Result<TempDir, BenchError> {
        let parent = self.built("data");
        std::fs::create_dir_all(&parent).map_err(BenchError::file(&parent))?;
        TempDir::new_in(&parent).map_err(BenchError::file(parent))
    }
}
