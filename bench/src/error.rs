//! Why a measurement could not be made.

use std::io;
use std::path::PathBuf;

/// The one error of the load programs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The command line asks for what this machine cannot hold.
    #[error(
        "{clients} clients need {needed} open files in one process, and the limit is {limit}: raise it (ulimit -n \
         {needed}) or leave the workload out"
    )]
    TooFewFiles {
        /// Clients asked for.
        clients: usize,
        /// Files that they need.
        needed: u64,
        /// What the process may open.
        limit: u64,
    },
    /// The loader could not be pinned to a core.
    #[error("pinning the loader to core {core} failed: {source}")]
    Pin {
        /// Which core.
        core: usize,
        /// The system's answer.
        source: io::Error,
    },
    /// The loader's own epoll failed.
    #[error("the loader failed: {0}")]
    Loader(io::Error),
    /// A client could not even start to connect.
    #[error("client {0} could not connect: {1}")]
    Connect(usize, io::Error),
    /// The crowd did not come together.
    #[error("{done} of {clients} clients were in their rooms when one failed: {reason}")]
    Gather {
        /// How many had come.
        done: usize,
        /// Of how many.
        clients: usize,
        /// What happened to the first that failed.
        reason: String,
    },
    /// A client went away during the measurement, so its figures would be about fewer clients than stated.
    #[error("client {0} lost its connection during the measurement: {1}")]
    Lost(usize, String),
    /// The server answered a command with a failure.
    #[error("the server refused a command of client {0}")]
    Refused(usize),
    /// Nothing came any more, though something was due.
    #[error("the server stood still: {0}")]
    Stalled(String),
    /// The server did not start.
    #[error("{what} did not start: {why}")]
    Start {
        /// Which server.
        what: String,
        /// The end of its log, or the system's answer.
        why: String,
    },
    /// What the servers of a cluster need is not there.
    #[error("what stands behind the servers did not start: {0}")]
    Behind(roomful_testkit::Error),
    /// The server's usage could not be read.
    #[error("the server's usage could not be read: {0}")]
    Usage(roomful_testkit::Error),
    /// The resident memory never came to rest.
    #[error("the server's memory did not settle within {seconds} s; the last readings in KiB: {readings:?}")]
    Restless {
        /// For how long it was watched.
        seconds: u64,
        /// The last readings.
        readings: Vec<u64>,
    },
    /// A run of the bare SQLite loop failed.
    #[error("the bare SQLite loop failed: {0}")]
    Bare(String),
    /// The floor failed.
    #[error("the floor failed: {0}")]
    Floor(io::Error),
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Stored results are not what this version writes.
    #[error("{path} is not understood ({source}): run `make bench` again", path = path.display())]
    Results {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A name on the command line is unknown.
    #[error("there is no {kind} {name:?}; there are: {known}")]
    Unknown {
        /// Of what kind.
        kind: &'static str,
        /// The name.
        name: String,
        /// Those that would do.
        known: String,
    },
    /// Started from elsewhere.
    #[error("run this from the root of the repository (make bench does)")]
    Place,
    /// The README has lost its markers.
    #[error("{0} lacks the lines <!-- bench:begin --> and <!-- bench:end -->")]
    Markers(String),
}

impl BenchError {
    /// Names the file that an operation failed on.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
