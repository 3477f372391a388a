//! Core assignment: the server on one core and the loader on another, so that neither takes the other's time.

use rustix::process::{Resource, getrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::error::BenchError;

const SERVER_CORE: usize = 0;
const LOADER_CORE: usize = 1;

/// The cores of this machine.
#[derive(Debug)]
pub(crate) struct Layout {
    cores: usize,
}

impl Layout {
    /// Counts the cores that this process may use.
    pub(crate) fn detect() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }

    /// True if server and loader have a core each. With one core, processor time is still the server's own,
    /// but latencies are meaningless.
    pub(crate) fn is_split(&self) -> bool {
        self.cores > LOADER_CORE
    }

    /// Keeps this process on the loader's core.
    pub(crate) fn pin_loader(&self) -> Result<(), BenchError> {
        if !self.is_split() {
            return Ok(());
        }
        let mut set = CpuSet::new();
        set.set(LOADER_CORE);
        sched_setaffinity(None, &set).map_err(|error| BenchError::Pin {
            core: LOADER_CORE,
            source: error.into(),
        })
    }

    /// The command prefix for a server: it runs on its own core, and ends with this process however that
    /// ends.
    pub(crate) fn server_wrapper(&self) -> Vec<String> {
        let mut words: Vec<String> = ["setpriv", "--pdeathsig", "KILL", "--"].map(String::from).into();
        if self.is_split() {
            words.extend(["taskset".into(), "-c".into(), SERVER_CORE.to_string()]);
        }
        words
    }
}

/// Fails early, and with advice, if one process cannot hold `clients` connections.
pub(crate) fn check_open_files(clients: usize) -> Result<(), BenchError> {
    /// Files that a process opens besides its connections (database, logs, timers), with room to spare.
    const OTHERS: u64 = 256;
    let needed = u64::try_from(clients).unwrap_or(u64::MAX).saturating_add(OTHERS);
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => Err(BenchError::TooFewFiles {
            clients,
            needed,
            limit,
        }),
        _ => Ok(()),
    }
}
