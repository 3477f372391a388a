//! The membership registry of a hub: leases, entries and locks in memory.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{BusError, Entry, ExpiredEntry, Heartbeat, MemberId};

#[derive(Default)]
pub(super) struct Registry {
    /// Live and expired members. An expired one stays, so that its id cannot start again; a process has
    /// few of them.
    members: BTreeMap<MemberId, Member>,
    entries: HashMap<String, BTreeMap<MemberId, Bytes>>,
    locks: HashMap<String, (MemberId, Instant)>,
}

struct Member {
    info: Bytes,
    expires: Instant,
    has_left: bool,
}

impl Registry {
    pub(super) fn heartbeat(&mut self, member: &str, info: Bytes, ttl: Duration) -> Heartbeat {
        let known = self.members.contains_key(member);
        if known && !self.takes_part(member) {
            return Heartbeat::Expired;
        }
        let expires = Instant::now() + ttl;
        let lease = Member {
            info,
            expires,
            has_left: false,
        };
        self.members.insert(member.to_owned(), lease);
        if known {
            Heartbeat::Renewed
        } else {
            Heartbeat::Started
        }
    }

    pub(super) fn leave(&mut self, member: &str, linger: Duration) {
        if self.takes_part(member)
            && let Some(member) = self.members.get_mut(member)
        {
            member.expires = Instant::now() + linger;
            member.has_left = true;
        }
    }

    pub(super) fn live_members(&self) -> Vec<Entry> {
        let members = self.members.iter().filter(|(id, _)| self.takes_part(id));
        members
            .map(|(id, member)| Entry {
                member: id.clone(),
                value: member.info.clone(),
            })
            .collect()
    }

    pub(super) fn put(&mut self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError> {
        self.require_part(member)?;
        let entries = self.entries.entry(key.to_owned()).or_default();
        entries.insert(member.to_owned(), value);
        Ok(self.live_entries(key, Some(member)))
    }

    pub(super) fn remove(&mut self, member: &str, key: &str) -> Result<Vec<Entry>, BusError> {
        self.require_part(member)?;
        self.take(member, key);
        Ok(self.live_entries(key, Some(member)))
    }

    /// Entries of live members under the key, except those of one member.
    pub(super) fn live_entries(&self, key: &str, except: Option<&str>) -> Vec<Entry> {
        let entries = self.entries.get(key).into_iter().flatten();
        entries
            .filter(|(member, _)| Some(member.as_str()) != except && self.is_alive(member))
            .map(|(member, value)| Entry {
                member: member.clone(),
                value: value.clone(),
            })
            .collect()
    }

    pub(super) fn take_expired(&mut self, limit: usize) -> Vec<ExpiredEntry> {
        if self.members.keys().all(|member| self.is_alive(member)) {
            // The usual case, and the only one on a single node.
            return Vec::new();
        }
        let mut expired = Vec::new();
        for (key, entries) in &self.entries {
            for member in entries.keys().filter(|member| !self.is_alive(member)) {
                expired.push((key.clone(), member.clone()));
            }
        }
        expired.truncate(limit);
        let mut taken = Vec::with_capacity(expired.len());
        for (key, member) in expired {
            if let Some(value) = self.take(&member, &key) {
                let others = self.live_entries(&key, None);
                let entry = Entry { member, value };
                taken.push(ExpiredEntry { key, entry, others });
            }
        }
        taken
    }

    pub(super) fn acquire_lock(&mut self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError> {
        self.require_part(member)?;
        let now = Instant::now();
        let taken = self
            .locks
            .get(name)
            .is_some_and(|(owner, expires)| owner != member && now < *expires && self.takes_part(owner));
        if !taken {
            self.locks.insert(name.to_owned(), (member.to_owned(), now + ttl));
        }
        Ok(!taken)
    }

    fn is_alive(&self, member: &str) -> bool {
        let now = Instant::now();
        self.members
            .get(member)
            .is_some_and(|member| now < member.expires)
    }

    /// True if the member is alive and has not left.
    fn takes_part(&self, member: &str) -> bool {
        self.is_alive(member) && self.members.get(member).is_some_and(|member| !member.has_left)
    }

    fn require_part(&self, member: &str) -> Result<(), BusError> {
        if self.takes_part(member) {
            Ok(())
        } else {
            Err(BusError::Expired)
        }
    }

    fn take(&mut self, member: &str, key: &str) -> Option<Bytes> {
        let entries = self.entries.get_mut(key)?;
        let value = entries.remove(member);
        if entries.is_empty() {
            self.entries.remove(key);
        }
        value
    }
}
