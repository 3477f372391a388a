//! The lease cache: what this client knows about the leases of its members.
//!
//! Each heartbeat sends it along. The script compares it with the registry, and so detects a lost answer
//! or lost entries.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::MemberId;

/// Leases by member. A client has few: one for each incarnation of its node.
#[derive(Default)]
pub(super) struct LeaseCache {
    members: Mutex<HashMap<MemberId, Lease>>,
}

#[derive(Default)]
struct Lease {
    /// Identifies the lease. Empty if no heartbeat was answered yet, or if the registry has lost writes.
    token: String,
    /// Number of confirmed writes under the lease.
    writes: u64,
    is_expired: bool,
}

impl LeaseCache {
    /// Token and number of confirmed writes.
    pub(super) fn get(&self, member: &str) -> (String, u64) {
        let members = self.members.lock();
        members
            .get(member)
            .map_or_else(Default::default, |lease| (lease.token.clone(), lease.writes))
    }

    pub(super) fn started(&self, member: &str, token: String) {
        let lease = Lease {
            token,
            ..Lease::default()
        };
        self.members.lock().insert(member.to_owned(), lease);
    }

    /// Notes the answer to a write: it was the `writes`th under the lease `token`. `before` is
    /// [`LeaseCache::get`] from before the write was sent.
    ///
    /// Answers may arrive out of order, and after those of a newer lease. If the registry counts no more
    /// writes than were confirmed before, it has lost some. Then the next heartbeat starts a new
    /// lease.
    pub(super) fn wrote(&self, member: &str, before: &(String, u64), token: &str, writes: u64) {
        let (sent_under, confirmed) = before;
        if let Some(lease) = self.members.lock().get_mut(member)
            && lease.token == token
        {
            if sent_under == token && writes <= *confirmed {
                lease.token.clear();
            }
            lease.writes = lease.writes.max(writes);
        }
    }

    pub(super) fn expired(&self, member: &str) {
        let mut members = self.members.lock();
        members.entry(member.to_owned()).or_default().is_expired = true;
    }

    pub(super) fn is_expired(&self, member: &str) -> bool {
        self.members
            .lock()
            .get(member)
            .is_some_and(|lease| lease.is_expired)
    }
}
