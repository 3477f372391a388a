//! Errors of a measurement.

use std::io;
use std::path::PathBuf;

/// The error type of the load programs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The command line asks for more than this machine can hold.
    #[error(
        "{clients} clients need {needed} open files in one process, and the limit is {limit}: raise it \
        (ulimit -n {needed}) or leave the workload out"
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
    /// The clients did not all connect.
    #[error("{done} of {clients} clients were in their rooms when one failed: {reason}")]
    Gather {
        /// Number of connected clients.
        done: usize,
        /// Number of clients.
        clients: usize,
        /// The first failure.
        reason: String,
    },
    /// A client lost its connection during the measurement, so its figures would be about fewer clients.
    #[error("client {0} lost its connection during the measurement: {1}")]
    Lost(usize, String),
    /// The server answered a command with a failure.
    #[error("the server refused a command of client {0}")]
    Refused(usize),
    /// Nothing arrived any more, although something was due.
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
    /// A service of the cluster did not start.
    #[error("a service of the cluster did not start: {0}")]
    Services(roomful_testkit::Error),
    /// The server's usage could not be read.
    #[error("the server's usage could not be read: {0}")]
    Usage(roomful_testkit::Error),
    /// The resident memory did not settle.
    #[error("the server's memory did not settle within {seconds} s; the last readings in KiB: {readings:?}")]
    Restless {
        /// The observation time.
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
    /// Stored results are not in this version's format.
    #[error("{path} is not understood ({source}): run `make bench` again", path = path.display())]
    Results {
        /// Which file.
        path: PathBuf,
        /// The mistake in it.
        source: serde_json::Error,
    },
    /// A name on the command line is unknown.
    #[error("there is no {kind} {name:?}; there are: {known}")]
    Unknown {
        /// The kind of name.
        kind: &'static str,
        /// The name.
        name: String,
        /// The valid names.
        known: String,
    },
    /// The program was not started in the repository's root.
    #[error("run this from the root of the repository (make bench does)")]
    Checkout,
    /// The file lacks the markers of the summary.
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
