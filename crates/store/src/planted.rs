//! Bugs planted on purpose, to prove that the torture program finds bugs of their kind. Each has one hook
//! in the code that it breaks. Nothing of this is compiled without the feature `planted-bugs`.

use std::{collections::HashSet, sync::LazyLock};

use parking_lot::Mutex;

use crate::{NewEntry, RoomId};

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Writes are answered, and only then committed.
    AckBeforeCommit,
    /// Now and then an entry is delivered to nobody.
    SkipDelivery,
    /// A retry is stored once more.
    DuplicateOnRetry,
    /// Muted users write.
    IgnoreMutes,
    /// An erasure leaves the user's entries in the log.
    KeepEntries,
}

/// Whether this bug is the one that `ROOMFUL_PLANTED` names.
pub fn is(bug: Bug) -> bool {
    static PLANTED: LazyLock<Option<Bug>> =
        LazyLock::new(|| match std::env::var("ROOMFUL_PLANTED").ok()?.as_str() {
            "ack-before-commit" => Some(Bug::AckBeforeCommit),
            "skip-delivery" => Some(Bug::SkipDelivery),
            "duplicate-on-retry" => Some(Bug::DuplicateOnRetry),
            "ignore-mutes" => Some(Bug::IgnoreMutes),
            "keep-entries" => Some(Bug::KeepEntries),
            _ => None,
        });
    *PLANTED == Some(bug)
}

/// Takes the client id from entries that are retries, if [`Bug::DuplicateOnRetry`] is planted.
pub(crate) fn forget_retries(mut entries: Vec<NewEntry>) -> Vec<NewEntry> {
    static SEEN: LazyLock<Mutex<HashSet<(RoomId, String, String)>>> = LazyLock::new(Mutex::default);
    if !is(Bug::DuplicateOnRetry) {
        return entries;
    }
    let mut seen = SEEN.lock();
    for entry in &mut entries {
        if let Some(client_id) = entry.client_id.take()
            && seen.insert((entry.room, entry.user_id.clone(), client_id.clone()))
        {
            entry.client_id = Some(client_id);
        }
    }
    drop(seen);
    entries
}
