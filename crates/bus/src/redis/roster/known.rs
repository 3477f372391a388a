//! What this end was told of its members' leases: the roster compares it with what it has, and so notices that an answer
//! got lost, or that it has forgotten something itself.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::MemberId;

/// By member. An end has few: one for each start of its node.
#[derive(Default)]
pub(super) struct Known {
    members: Mutex<HashMap<MemberId, Lease>>,
}

#[derive(Default)]
struct Lease {
    /// Names this lease; a new one has another. Empty if none was ever heard of.
    token: String,
    /// How many writes under it were confirmed.
    writes: u64,
    has_lapsed: bool,
}

impl Known {
    pub(super) fn of(&self, member: &str) -> (String, u64) {
        let members = self.members.lock();
        members
            .get(member)
            .map_or_else(Default::default, |lease| (lease.token.clone(), lease.writes))
    }

    pub(super) fn began(&self, member: &str, token: String) {
        let lease = Lease {
            token,
            ..Lease::default()
        };
        self.members.lock().insert(member.to_owned(), lease);
    }

    /// A write that was sent when `before` were confirmed is the `writes`th under its lease. Answers may come out of order, and
    /// after those of a newer lease. If it comes not after those that were confirmed, the roster has lost some: the lease is
    /// as good as unknown, and begins anew with the next beat.
    pub(super) fn wrote(&self, member: &str, (sent_under, before): &(String, u64), token: &str, writes: u64) {
        if let Some(lease) = self.members.lock().get_mut(member)
            && lease.token == token
        {
            if sent_under == token && writes <= *before {
                lease.token.clear();
            }
            lease.writes = lease.writes.max(writes);
        }
    }

    pub(super) fn lapsed(&self, member: &str) {
        let mut members = self.members.lock();
        members.entry(member.to_owned()).or_default().has_lapsed = true;
    }

    pub(super) fn has_lapsed(&self, member: &str) -> bool {
        self.members
            .lock()
            .get(member)
            .is_some_and(|lease| lease.has_lapsed)
    }
}
