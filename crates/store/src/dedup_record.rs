//! The dedup record: the entry that a client id already stands for.

use crate::{Appended, EntryKind, NewEntry, Rejected};

/// The stored entry with a given (room, user, client id).
pub(crate) struct DedupRecord {
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) kind: EntryKind,
    pub(crate) target: Option<u64>,
    pub(crate) body: String,
    /// The body was erased by a deletion, so there is nothing to compare.
    pub(crate) wiped: bool,
}

impl DedupRecord {
    /// The answer to an entry that arrives under the same client id: the first answer again, or a conflict.
    pub(crate) fn compare(&self, entry: &NewEntry) -> Result<Appended, Rejected> {
        let alike = self.kind == entry.kind && self.target == entry.target;
        if alike && (self.wiped || self.body == entry.body) {
            Ok(Appended::Duplicate {
                seq: self.seq,
                at: self.at,
            })
        } else {
            Err(Rejected::Conflict { seq: self.seq })
        }
    }
}
