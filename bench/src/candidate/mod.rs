//! The candidates: each is one value that says how it is installed, how it is started, and how it talks.

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

/// What tokens are signed with, HS256; known to every server that asks for tokens.
pub(crate) const SECRET: &str = "bench-secret-0123456789-0123456789-0123456789";

/// What a server is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Rooms and messages; no token, no store, no ack of a message.
    Bare,
    /// A token at connect; a message is on disk before its ack.
    Chat,
}

/// A server that takes part.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// Its name on the command line and in stored results.
    pub(crate) name: &'static str,
    /// Its name in a report.
    pub(crate) label: &'static str,
    /// How it talks.
    pub(crate) dialect: Dialect,
    /// Making it ready takes minutes the first time, since it is compiled.
    pub(crate) compiled: bool,
    /// Makes it ready, if it is not, and answers its versions; or says why that can't be.
    pub(crate) install: fn(&Place) -> Result<String, Skip>,
    /// A path that answers 200 once it is ready, where there is one; without, a server that accepts counts as ready.
    pub(crate) ready: Option<&'static str>,
    /// The command that serves.
    pub(crate) command: fn(&Place, &Launch<'_>) -> Command,
}

/// What a server is started with.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// The port on loopback.
    pub(crate) port: u16,
    /// What it is to do.
    pub(crate) mode: Mode,
    /// Where its data goes.
    pub(crate) folder: &'a Path,
    /// What stands behind it, where it is one of several.
    pub(crate) links: Option<&'a Links>,
}

/// How the processes of a cluster reach what stands behind them, as URLs.
#[derive(Debug)]
pub(crate) struct Links {
    /// The Redis over which they tell each other.
    pub(crate) redis: String,
    /// An empty database, where messages are to be kept.
    pub(crate) postgres: Option<String>,
}

/// Why a candidate does not take part.
#[derive(Clone, Debug)]
pub(crate) struct Skip(pub(crate) String);

/// All of them, in the order of reports.
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

/// The candidate of that name. Names come from workloads, whose test checks that they exist.
pub(crate) fn by_name(name: &str) -> Option<&'static Candidate> {
    ALL.iter().find(|candidate| candidate.name == name)
}

/// What is not installed at that time, in clock nanoseconds, does not take part.
pub(crate) fn set_install_deadline(deadline: u64) {
    install::set_deadline(deadline);
}

/// Where things lie: all paths are below the repository's root, where the program runs.
#[derive(Debug)]
pub(crate) struct Place {
    root: PathBuf,
}

impl Place {
    /// The current folder, if it is the repository's root.
    pub(crate) fn here() -> Result<Self, BenchError> {
        let root = std::env::current_dir().map_err(BenchError::file("."))?;
        if !root.join("bench/peers").is_dir() {
            return Err(BenchError::Place);
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

    /// What is built for a peer.
    pub(crate) fn built(&self, name: &str) -> PathBuf {
        self.root.join("target/bench").join(name)
    }

    /// What Cargo has built of this repository.
    pub(crate) fn release(&self, name: &str) -> PathBuf {
        self.root.join("target/release").join(name)
    }

    /// An empty folder on the disk that is measured; removed with the value.
    pub(crate) fn fresh_folder(&self) -> Result<TempDir, BenchError> {
        let parent = self.built("data");
        std::fs::create_dir_all(&parent).map_err(BenchError::file(&parent))?;
        TempDir::new_in(&parent).map_err(BenchError::file(parent))
    }
}
