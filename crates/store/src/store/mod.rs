//! The interface between the rules of chat and the databases: one trait for each noun, and [`Store`] as
//! their sum.

mod audit;
mod log;
mod members;
mod moderation;
mod notifications;
mod personal_data;
mod reports;
mod rooms;
mod users;

use async_trait::async_trait;

pub use self::{
    audit::Audit,
    log::{AppendResult, FencingTokens, Log, LogEntry, LogHead},
    members::Members,
    moderation::Moderation,
    notifications::Notifications,
    personal_data::PersonalData,
    reports::Reports,
    rooms::Rooms,
    users::Users,
};
use crate::{Outbox, Sessions, StoreError};

/// A durable log of rooms, with their members, users and notifications.
///
/// Every call that writes keeps these promises. When it returns `Ok`, the change is committed and survives
/// a crash of the process and of the machine. When it returns an error, nothing was changed; only after a
/// power cut during a failing commit may a change turn up nevertheless, so retry under the same client id.
/// If the caller drops the future after its first poll, the call is carried out completely or not at all.
///
/// Every call may fail with [`StoreError::Unavailable`]. Calls about a room that does not exist answer
/// `None` or [`crate::Rejected::NoSuchRoom`].
#[async_trait]
pub trait Store:
    Log
    + Rooms
    + Members
    + Users
    + Moderation
    + Reports
    + Audit
    + PersonalData
    + Notifications
    + Sessions
    + Send
    + Sync
    + 'static
{
    /// Identifies this database: 8 to 32 lower-case hexadecimal digits, the same for all processes that
    /// have it open.
    ///
    /// Where several processes can open a database, the identity never changes, and a copy under another
    /// name or on another server has a different one. A store that finds another database in place of its
    /// own answers every call with [`crate::Outage::Replaced`]. Where only one process can,
    /// [`crate::new_epochs`] may change the identity.
    fn identity(&self) -> &str;

    /// How many other processes have the store open and sent a heartbeat recently.
    async fn other_nodes(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// The time by the clock that all processes with this store share, in milliseconds since 1970. `None` if
    /// that is this machine's.
    async fn clock(&self) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }

    /// Writes and reads a row durably, to find out whether the store works.
    async fn check(&self) -> Result<(), StoreError>;

    /// The size of the database in bytes, with its indexes and its write-ahead log if that is a file beside
    /// it.
    async fn size(&self) -> Result<u64, StoreError>;

    /// The outbox; `None` if no sink is configured, and no record is ever written.
    fn outbox(&self) -> Option<&dyn Outbox> {
        None
    }

    /// Finishes the calls in progress, refuses all later ones, and returns when all files are closed.
    async fn close(&self);
}
