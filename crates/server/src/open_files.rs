//! The limit on open files. Every connection is an open file.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files that are not client connections: the database, the listeners, pipes of the runtime.
pub(crate) const OWN_FILES: u64 = 64;

/// Raises the soft limit to the hard limit and returns it. `None` means that there is no limit.
pub(crate) fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, limit = limit.current, "failed to raise the limit on open files");
            limit.current
        }
    }
}

/// The number of connections to allow: `asked`, capped by the limit on open files. 0 asks for as many as fit.
pub(crate) fn connections(asked: usize, limit: Option<u64>) -> Option<usize> {
    let room =
        limit.map(|limit| usize::try_from(limit.saturating_sub(OWN_FILES).max(1)).unwrap_or(usize::MAX));
    match (asked, room) {
        (0, room) => room,
        (asked, Some(room)) => Some(asked.min(room)),
        (asked, None) => Some(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_file_descriptors_for_the_server_itself() {
        assert_eq!(connections(0, Some(1024)), Some(960));
        assert_eq!(connections(100, Some(1024)), Some(100));
        assert_eq!(connections(5000, Some(1024)), Some(960));
        assert_eq!(connections(0, None), None);
        assert_eq!(connections(7, None), Some(7));
    }
}
