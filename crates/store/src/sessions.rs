//! Sessions: connections that a client can resume after losing them, and the entries that it missed.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Appended, Entry, LogPosition, NewEntry, Rejected, RoomId, RoomRow, StoreError};

/// Key of a session: a hash of the secret that its client holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(pub [u8; 16]);

/// The connection that owns a session: a number that is unique among the connections of this process. Other
/// processes may use the same numbers; the store tells them apart.
pub type SessionOwner = u64;

/// A new session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its key.
    pub key: SessionKey,
    /// The connection that owns it.
    pub owner: SessionOwner,
    /// Public id of the connection, which recoveries keep.
    pub sid: String,
    /// The user.
    pub user_id: String,
    /// Time of the connection.
    pub at: i64,
}

/// A request to resume a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The session.
    pub key: SessionKey,
    /// The connection that will own it.
    pub owner: SessionOwner,
    /// The user who asks.
    pub user_id: String,
    /// Sessions that were lost before this time have expired.
    pub lost_since: i64,
}

/// A resumed session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// Its public id.
    pub sid: String,
    /// The rooms it is subscribed to.
    pub rooms: Vec<SubscribedRoom>,
}

/// A room that a session is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribedRoom {
    /// The room.
    pub room: RoomRow,
    /// The newest entry when it subscribed. The session receives later ones.
    pub after: u64,
}

/// The newest position of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// 8 characters. Positions can only be compared within one epoch.
    pub epoch: String,
    /// The position of the newest entry; 0 if the log is empty.
    pub position: LogPosition,
}

/// The answer to [`Sessions::append_with_positions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendResult {
    /// One result for each entry, in their order.
    pub results: Vec<Result<Appended, Rejected>>,
    /// The position of the first new entry. The positions of the other new entries follow it without a gap.
    pub first_position: LogPosition,
}

/// An entry with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its position.
    pub position: LogPosition,
    /// Its room.
    pub room: RoomId,
    /// The entry.
    pub entry: Entry,
}

/// The entries that a resumed session asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Its rooms, each with the newest entry when it subscribed.
    pub rooms: Vec<(RoomId, u64)>,
    /// The session has everything up to this position.
    pub after: LogPosition,
    /// It asks for everything up to this position.
    pub upto: LogPosition,
    /// Maximum number of entries.
    pub most: usize,
    /// Maximum bytes of bodies.
    pub most_bytes: usize,
}

/// Answers the fencing token of this process's lease, or `None` once the lease has ended.
pub type FencingTokens = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// The log over all rooms, and the sessions that resume from a position in it.
///
/// Positions number the entries of all rooms densely, in the order of their commits. An entry receives its
/// position in the transaction that stores it. The guarantees of [`crate::Store`] apply to these calls too.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// The head of the log after the newest commit that this process knows.
    fn log_head(&self) -> LogHead;

    /// The current head of the log, with the commits of other nodes.
    async fn read_log_head(&self) -> Result<LogHead, StoreError>;

    /// Number of other live processes that have the store open.
    async fn other_nodes(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// Appends like [`crate::Store::append`], and also returns the positions of the new entries.
    async fn append_with_positions(&self, entries: Vec<NewEntry>) -> Result<AppendResult, StoreError>;

    /// Deletes a room like [`crate::Store::delete_room`] and appends a control entry, both in one
    /// transaction. If there is no such room, the entry's result is [`Rejected::NoSuchRoom`] and nothing
    /// changes.
    async fn delete_room_with(&self, room: RoomId, control: NewEntry) -> Result<AppendResult, StoreError>;

    /// From now on the store commits an append only if `tokens` still answers the token that it answered
    /// when the append was queued; otherwise the append fails with [`crate::Outage::Fenced`]. The store
    /// compares the tokens again right before the commit, while it holds the lock of the log: the process
    /// may have been paused. If a process pauses after that, the database ends its transaction within two
    /// seconds.
    ///
    /// Only the first call counts. A store that serves a single process ignores it.
    fn fence(&self, _tokens: FencingTokens) {}

    /// The entries at positions after `after` up to `upto` that are still kept, `limit` at most, in order.
    async fn log_entries(
        &self,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError>;

    /// The room of the entry at a position, even if the entry is unreadable; `None` if it is no longer kept.
    async fn room_at(&self, position: LogPosition) -> Result<Option<RoomId>, StoreError>;

    /// The entries that a session missed, by position; `None` if some are no longer kept or a limit is
    /// exceeded.
    async fn missed(&self, ask: Missed) -> Result<Option<Vec<LogEntry>>, StoreError>;

    /// Creates a session, connected and without rooms.
    async fn begin_session(&self, session: NewSession) -> Result<(), StoreError>;

    /// Subscribes the session to the room's entries after `after`, for as long as its user's
    /// [membership](crate::Member::membership) lasts. An earlier subscription in the same membership stays
    /// as it is. Returns false if `owner` no longer owns the session.
    async fn subscribe(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        room: RoomId,
        after: u64,
        membership: u64,
    ) -> Result<bool, StoreError>;

    /// Ends the session's subscriptions to these rooms.
    async fn unsubscribe(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        rooms: Vec<RoomId>,
    ) -> Result<(), StoreError>;

    /// Records that the session's connection was lost at `at`. Keeps the user's latest `keep` lost sessions.
    async fn mark_session_lost(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        at: i64,
        keep: u32,
    ) -> Result<(), StoreError>;

    /// Deletes the session.
    async fn end_session(&self, key: SessionKey, owner: SessionOwner) -> Result<(), StoreError>;

    /// Deletes the user's lost sessions.
    async fn end_lost_sessions(&self, user: &str) -> Result<(), StoreError>;

    /// Gives a session to a new owner, even if another process owns it. Requires that it is the user's, was
    /// not lost too long ago, and that the user has been a member of all its rooms since it subscribed.
    /// Deletes a session of the user that fails a requirement; leaves another user's session alone.
    async fn resume_session(&self, ask: Resume) -> Result<Option<Resumed>, StoreError>;

    /// Marks all sessions of this process as lost at its last [`Sessions::heartbeat`], for a process that
    /// starts. Leaves the sessions of other live processes alone.
    async fn mark_all_sessions_lost(&self) -> Result<(), StoreError>;

    /// Records that the process is alive at `at`. Deletes sessions that were lost before `lost_before`; the
    /// sessions of a dead process count as lost at its last heartbeat.
    async fn heartbeat(&self, at: i64, lost_before: i64) -> Result<(), StoreError>;
}
