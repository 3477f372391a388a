//! Connections that may be taken up again after they were lost, and what they missed meanwhile.

use async_trait::async_trait;

use crate::{LogEntry, LogPosition, RoomId, RoomRow, StoreError};

/// What a session is found by: a hash of the secret that its client holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(pub [u8; 16]);

/// The connection that owns a session: a number that is unique among the connections of this process. Other processes may
/// use the same numbers; the store tells them apart.
pub type SessionOwner = u64;

/// A session that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its key.
    pub key: SessionKey,
    /// The connection that has it.
    pub owner: SessionOwner,
    /// The connection's public id, which it keeps over recoveries.
    pub sid: String,
    /// Whose it is.
    pub user_id: String,
    /// When it began.
    pub at: i64,
}

/// Who wants a session back, and on which terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The session.
    pub key: SessionKey,
    /// The connection that will have it.
    pub owner: SessionOwner,
    /// Who asks.
    pub user_id: String,
    /// A session that was lost before this time is gone.
    pub lost_since: i64,
}

/// A session that was given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// The public id that it had.
    pub sid: String,
    /// The rooms that it is subscribed to.
    pub rooms: Vec<SubscribedRoom>,
}

/// A room that a session is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribedRoom {
    /// The room.
    pub room: RoomRow,
    /// The newest entry when it subscribed: what came later is for it.
    pub after: u64,
}

/// What a session asks for when it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Its rooms, each with the newest entry when it subscribed.
    pub rooms: Vec<(RoomId, u64)>,
    /// The position up to which it has everything.
    pub after: LogPosition,
    /// The position up to which it wants everything.
    pub upto: LogPosition,
    /// The most entries that it may be given.
    pub most: usize,
    /// The most bytes of bodies that it may be given.
    pub most_bytes: usize,
}

/// The sessions: connections that a client can resume, and what they missed.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// What a session missed, in the order of positions; `None` if some of it is no longer kept, or it is too much.
    async fn missed(&self, ask: Missed) -> Result<Option<Vec<LogEntry>>, StoreError>;

    /// A session begins, connected and without rooms.
    async fn begin_session(&self, session: NewSession) -> Result<(), StoreError>;

    /// The session gets the room's entries after `after` from now on, as long as its user's `membership` lasts (see
    /// [`crate::Member::membership`]). If it was subscribed to it before in the same one, it stays so from there. `false` if
    /// its owner does not have it any more.
    async fn subscribe(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        room: RoomId,
        after: u64,
        membership: u64,
    ) -> Result<bool, StoreError>;

    /// The session is no longer subscribed to these rooms.
    async fn unsubscribe(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        rooms: Vec<RoomId>,
    ) -> Result<(), StoreError>;

    /// The session's connection was lost at `at`. Of the user's lost sessions only the latest `keep` are kept.
    async fn mark_session_lost(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        at: i64,
        keep: u32,
    ) -> Result<(), StoreError>;

    /// The session is over for good.
    async fn end_session(&self, key: SessionKey, owner: SessionOwner) -> Result<(), StoreError>;

    /// Forgets the user's lost sessions.
    async fn end_lost_sessions(&self, user: &str) -> Result<(), StoreError>;

    /// Gives a session to a new owner, also from one of another process, if it is the user's, was not lost for too long, and its user has been a member
    /// of each of its rooms since it subscribed. A session of theirs that fails this is over; that of another user is
    /// left alone.
    async fn resume_session(&self, ask: Resume) -> Result<Option<Resumed>, StoreError>;

    /// A process begins to serve: sessions that no connection can have any more were lost when [`Sessions::heartbeat`] was
    /// last told of the process that had them. Those of other living processes stay.
    async fn mark_all_sessions_lost(&self) -> Result<(), StoreError>;

    /// The process was alive at `at`; sessions of processes that have died are lost as of when they were last alive, and those that
    /// were lost before `lost_before` are forgotten.
    async fn heartbeat(&self, at: i64, lost_before: i64) -> Result<(), StoreError>;
}
