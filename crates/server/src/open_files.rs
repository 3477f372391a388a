//! The limit on open files, of which every connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open beside the connections: database, listener, what the threads need.
pub(crate) const OWN_FILES: u64 = 64;

/// Raises the soft limit to the hard one, as a process may, and answers how many files may be open. `None`: no limit.
pub(crate) fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, limit = limit.current, "the limit on open files could not be raised");
            limit.current
        }
    }
}

/// How many connections may be held: what is asked for, or 0 for as many as the limit on files lets in.
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
    fn connections_leave_room_for_our_own_files() {
        assert_eq!(connections(0, Some(1024)), Some(960));
        assert_eq!(connections(100, Some(1024)), Some(100));
        assert_eq!(connections(5000, Some(1024)), Some(960));
        assert_eq!(connections(0, None), None);
        assert_eq!(connections(7, None), Some(7));
    }
}
