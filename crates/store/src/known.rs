//! An entry that is recognised by its client id.

use crate::{Appended, EntryKind, NewEntry, Rejected};

/// What is stored under a client id.
pub(crate) struct Known {
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) kind: EntryKind,
    pub(crate) target: Option<u64>,
    pub(crate) body: String,
    /// The body is forgotten, so there is nothing to compare.
    pub(crate) wiped: bool,
}

impl Known {
    /// The answer to an entry that comes under the same client id.
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
