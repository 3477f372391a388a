//! Who is alive, and what is true only as long as they are.
//!
//! A member is one start of one node. It has a lease that it renews; once the lease has ended, in the time of the place
//! where the roster is kept, the member is dead for good: its entries count no more, it can write none, and it can't come
//! back but as another member. Entries have a key (such as a user) and at most one value of each member.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::BusError;

/// One start of one node. Never used again once its lease has ended.
pub type MemberId = String;

/// What a member has put under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub member: MemberId,
    /// What it says.
    pub value: Bytes,
}

/// What became of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// It was renewed.
    Renewed,
    /// It began: the roster did not know the member, or has forgotten it with all its entries. They have to be put again.
    /// If the answer got lost, the next one says it again. So a member beats by one end only: another was not told.
    Began,
    /// It had ended before. The member must stop what it does in its name.
    Lapsed,
}

/// An entry of a dead member that was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// Under which key it was.
    pub key: String,
    /// What it was.
    pub entry: Entry,
    /// What living members have under the key.
    pub others: Vec<Entry>,
}

/// The members of a cluster with their entries.
#[async_trait]
pub trait Roster: Send + Sync {
    /// Begins or renews a lease that lasts `ttl` from now. `info` is what others see of the member.
    async fn beat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Beat, BusError>;

    /// Ends a lease at once. The member's entries are left to be swept.
    async fn resign(&self, member: &str) -> Result<(), BusError>;

    /// The living members with their infos.
    async fn members(&self) -> Result<Vec<Entry>, BusError>;

    /// Puts or replaces the member's entry; answers with what other living members have under the key.
    ///
    /// # Errors
    /// [`BusError::Lapsed`] if the member's lease is not alive: nothing was written.
    async fn put(&self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError>;

    /// Takes the member's entry out; answers with what other living members have under the key.
    ///
    /// # Errors
    /// [`BusError::Lapsed`] as with [`Roster::put`].
    async fn remove(&self, member: &str, key: &str) -> Result<Vec<Entry>, BusError>;

    /// What living members have under these keys, in their order.
    async fn entries(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, BusError>;

    /// Takes out entries of dead members, `limit` at most; each is given to one caller, or again if an answer got lost.
    async fn sweep(&self, limit: usize) -> Result<Vec<Swept>, BusError>;

    /// Has, or keeps, the lease `name` for `ttl` from now, unless another living member has it.
    ///
    /// # Errors
    /// [`BusError::Lapsed`] as with [`Roster::put`].
    async fn hold(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError>;
}
