//! The trait `Membership`: which members of the cluster are alive, and the entries that live as long as
//! they do.
//!
//! A member is one incarnation of a node: a new start, or a new lease after a lost one, is a new member.
//! A member renews its lease with heartbeats. The clock of the registry decides when a lease expires. An
//! expired member is dead for good: readers no longer see its entries, it cannot write, and its id cannot
//! start again. An entry has a key, such as a user id, and each member has at most one value under it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::BusError;

/// Id of one incarnation of a node. It is not reused after its lease has expired.
pub type MemberId = String;

/// A member's value under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The member that wrote it.
    pub member: MemberId,
    /// The value.
    pub value: Bytes,
}

/// Answer to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heartbeat {
    /// The lease is extended.
    Renewed,
    /// The lease is new, or the registry has lost entries of this member. The member has to write all its
    /// entries again.
    ///
    /// If this answer is lost, the next heartbeat gives it again. The client keeps track of that, so a
    /// member must send its heartbeats through one client only.
    Started,
    /// The lease expired before the heartbeat. The member must stop acting under this id.
    Expired,
}

/// An entry of an expired member, removed from the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredEntry {
    /// Its key.
    pub key: String,
    /// The entry.
    pub entry: Entry,
    /// Entries of live members under the same key.
    pub others: Vec<Entry>,
}

/// The registry of members and their entries.
#[async_trait]
pub trait Membership: Send + Sync {
    /// Starts a lease or renews it, for `ttl` from now. Other members read `info` with
    /// [`Membership::members`].
    async fn heartbeat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Heartbeat, BusError>;

    /// Ends the membership: [`Membership::members`] no longer lists the member, it cannot write, and its
    /// locks are free.
    ///
    /// Its entries stay visible for `linger` from now, so that the users or rooms behind them can move to
    /// another member without a gap. Then they count as expired.
    async fn leave(&self, member: &str, linger: Duration) -> Result<(), BusError>;

    /// All live members with their infos, except those that have left.
    async fn members(&self) -> Result<Vec<Entry>, BusError>;

    /// Writes the member's entry. Returns the entries of other live members under the key.
    ///
    /// # Errors
    /// [`BusError::Expired`] if the member has no live lease; nothing is written.
    async fn put(&self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError>;

    /// Removes the member's entry. Returns the entries of other live members under the key.
    ///
    /// # Errors
    /// [`BusError::Expired`] as with [`Membership::put`].
    async fn remove(&self, member: &str, key: &str) -> Result<Vec<Entry>, BusError>;

    /// Entries of live members under each of these keys, in the order of the keys.
    async fn entries(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, BusError>;

    /// Removes up to `limit` entries of expired members and returns them. Only one caller gets an entry;
    /// if its answer is lost, the entry is returned again later.
    async fn take_expired(&self, limit: usize) -> Result<Vec<ExpiredEntry>, BusError>;

    /// Acquires or extends the named lock for `ttl` from now. Returns false if another live member has it.
    ///
    /// # Errors
    /// [`BusError::Expired`] as with [`Membership::put`].
    async fn acquire_lock(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError>;
}
