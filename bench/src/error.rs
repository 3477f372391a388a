//! Why a measurement could not be made.

/// The one error of the load programs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A client or the server failed.
    #[error(transparent)]
    Testkit(#[from] roomful_testkit::Error),
    /// The command line asks for what this machine cannot hold.
    #[error(
        "{clients} clients need {needed} open files in one process, and the limit is {limit}: raise it (ulimit -n \
         {needed}) or ask for fewer clients"
    )]
    TooFewFiles {
        /// Clients asked for.
        clients: usize,
        /// Files that they need.
        needed: u64,
        /// What the process may open.
        limit: u64,
    },
    /// A client went away during the measurement, so its figures would be about fewer clients than stated.
    #[error("{lost} of {clients} clients lost their connection; the first one: {first}")]
    Lost {
        /// How many.
        lost: usize,
        /// Of how many.
        clients: usize,
        /// What the first one saw.
        first: String,
    },
    /// The resident memory never came to rest.
    #[error("the server's memory did not settle within {seconds} s; the last readings in KiB: {readings:?}")]
    Restless {
        /// For how long it was watched.
        seconds: u64,
        /// The last readings.
        readings: Vec<u64>,
    },
    /// The loader could not be pinned to a core.
    #[error("pinning the loader to core {core} failed: {source}")]
    Pin {
        /// Which core.
        core: usize,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The runtime did not start.
    #[error("the runtime did not start: {0}")]
    Runtime(std::io::Error),
    /// The report could not be written.
    #[error("the report could not be written: {0}")]
    Report(std::io::Error),
}
