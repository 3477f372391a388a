//! The dedup record of an entry: what an append under the same client id is compared with.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

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
    pub(crate) text: RecordedText<'a>,
}

/// The remains of an entry's body that a retry is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordedText<'a> {
    /// The body: the entry is still stored.
    Body(Cow<'a, str>),
    /// The [`fingerprint`] of the body: retention has removed the entry.
    Fingerprint(i64),
    /// Nothing: a deletion or a later edit erased the body.
    Erased,
}

/// SQL: the condition that a deletion or a later edit erased the body of entry `e`. The body of an edit is
/// empty once it is erased; the row that says so may be gone with its message.
macro_rules! is_erased {
    () => {
        "(e.kind = 1 AND e.body = '' OR e.kind IN (0, 1) AND EXISTS
            (SELECT 1 FROM message_states s
             WHERE s.room_id = e.room_id AND s.seq = coalesce(e.target, e.seq)
                AND (s.deleted = 1 OR s.rewritten = 1 AND s.edit_seq <> e.seq)))"
    };
}
pub(crate) use is_erased;

/// SQL: what identifies the entry under a [`DedupKey`], which is the first three parameters.
pub(crate) const RECORDED: &str = "SELECT seq, at, kind, target FROM entries
        WHERE room_id = $1 AND user_id = $2 AND client_id = $3
    UNION ALL SELECT seq, at, kind, target FROM dedup_records
        WHERE room_id = $1 AND user_id = $2 AND client_id = $3
    LIMIT 1";

/// 16 bits of a digest of an entry's client id and body.
///
/// That is enough to notice a client that uses an id for two messages, and too little to confirm a guess
/// of a removed text. It skips the characters that PostgreSQL's columns use to escape others.
pub(crate) fn fingerprint(client_id: &str, body: &str) -> i64 {
    let mut digest = Sha256::new();
    for (text, end) in [(client_id, "\n"), (body, "")] {
        for part in text.split(['\u{0}', '\u{1}', '\u{2}']) {
            digest.update(part);
        }
        digest.update(end);
    }
    match digest.finalize()[..] {
        [high, low, ..] => i64::from(u16::from_be_bytes([high, low])),
        _ => 0,
    }
}

impl<'a> DedupRecord<'a> {
    /// The record of an entry that was appended as `seq` just now.
    pub(super) fn of(entry: &'a NewEntry, seq: u64) -> Self {
        Self {
            seq,
            at: entry.at,
            kind: entry.kind,
            target: entry.target,
            text: RecordedText::Body(Cow::Borrowed(&entry.body)),
        }
    }

    /// The answer to an entry that arrives under the same key.
    pub(super) fn compare(&self, entry: &NewEntry) -> Result<Appended, Rejected> {
        let same_text = match &self.text {
            RecordedText::Body(body) => *body == entry.body,
            RecordedText::Fingerprint(known) => {
                *known == fingerprint(entry.client_id.as_deref().unwrap_or_default(), &entry.body)
            }
            RecordedText::Erased => true,
        };
        if same_text && self.kind == entry.kind && self.target == entry.target {
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
