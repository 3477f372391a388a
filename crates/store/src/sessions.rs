//! Sessions: connections that a client can resume after losing them, and the entries that it missed.

use async_trait::async_trait;

use crate::{LogEntry, LogPosition, RoomId, RoomRow, StoreError};

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

/// The outcome of subscribing a session to several rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribed {
    /// The session is subscribed to all of them.
    All,
    /// To none: the owner no longer owns the session.
    NotOwner,
    /// To none: the user is no longer a member of one of them.
    NotMember,
}

/// The entries that a resumed session asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The session and its owner. It must still be complete: owned by the owner, whose user has been a member
    /// of all its rooms since it subscribed. `None` for a check that was made before.
    pub session: Option<(SessionKey, SessionOwner)>,
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

/// The sessions: connections that a client can resume, and the entries they missed.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// The entries that a session missed, by position; `None` if the session is not complete, some
    /// entries are no longer kept, or a limit is exceeded.
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

    /// Subscribes the session to several rooms like [`Self::subscribe`], each after its newest entry, in the
    /// current membership of the user, whose session it is. Subscribes it to all of them or to none.
    async fn subscribe_all(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        user: &str,
        rooms: Vec<(RoomId, u64)>,
    ) -> Result<Subscribed, StoreError>;

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
