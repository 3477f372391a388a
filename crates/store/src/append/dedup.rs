//! The dedup record of an entry: what an append under the same client id is compared with.

use std::borrow::Cow;

use crate::{Appended, EntryKind, NewEntry, Rejected, RoomId};

/// Room, user and client id: one such key stands for one entry.
pub(crate) type DedupKey<'a> = (RoomId, &'a str, &'a str);

/// The key under which an entry is recognised; `None` if its sender gave it no client id.
pub(super) fn key(entry: &NewEntry) -> Option<DedupKey<'_>> {
    Some((entry.room, &*entry.user_id, entry.client_id.as_deref()?))
}

/// What the store remembers of an entry that has a client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DedupRecord<'a> {
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) kind: EntryKind,
    pub(crate) target: Option<u64>,
    pub(crate) body: Cow<'a, str>,
    /// The body was erased by a deletion or a later edit, so it cannot be compared.
    pub(crate) erased: bool,
}

impl<'a> DedupRecord<'a> {
    /// The record of an entry that was appended as `seq` just now.
    pub(super) fn of(entry: &'a NewEntry, seq: u64) -> Self {
        Self {
            seq,
            at: entry.at,
            kind: entry.kind,
            target: entry.target,
            body: Cow::Borrowed(&entry.body),
            erased: false,
        }
    }

    /// The answer to an entry that arrives under the same key.
    pub(super) fn compare(&self, entry: &NewEntry) -> Result<Appended, Rejected> {
        let alike = self.kind == entry.kind && self.target == entry.target;
        if alike && (self.erased || self.body == entry.body) {
            Ok(Appended::Duplicate {
                seq: self.seq,
                at: self.at,
            })
        } else {
            Err(Rejected::Conflict { seq: self.seq })
        }
    }

    /// The message whose deletion or edits erase the body of this entry.
    pub(super) fn erased_with(&self) -> Option<u64> {
        match self.kind {
            EntryKind::Message => Some(self.seq),
            EntryKind::Edit => self.target,
            EntryKind::Delete | EntryKind::Reaction { .. } | EntryKind::Control => None,
        }
    }
}
