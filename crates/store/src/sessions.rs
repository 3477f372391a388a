//! Connections that may be taken up again after they were lost, and what they missed meanwhile.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Appended, Entry, NewEntry, Rejected, RoomId, RoomRow, StoreError};

/// What a session is found by: a hash of the secret that its client holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(pub [u8; 16]);

/// Who has a session now: a number that no other connection of this process has. Other processes may use the same numbers:
/// a session is had by a connection of one opening of the store, and nobody else can act for it.
pub type Holder = u64;

/// A session that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its key.
    pub key: SessionKey,
    /// The connection that has it.
    pub holder: Holder,
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
    pub holder: Holder,
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

/// Where the order of all entries stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPosition {
    /// 8 characters. Positions can only be compared within one epoch.
    pub epoch: String,
    /// The newest entry's position; 0 while there is none.
    pub pos: u64,
}

/// The answer to [`Sessions::append_placed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// One result for each entry, in their order.
    pub results: Vec<Result<Appended, Rejected>>,
    /// The position of the first new entry; those of the other new ones follow it one by one.
    pub pos: u64,
}

/// An entry with its place in the order of all entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedEntry {
    /// Its position.
    pub pos: u64,
    /// Its room.
    pub room: RoomId,
    /// The entry.
    pub entry: Entry,
}

/// What a session asks for when it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Its rooms, each with the newest entry when it subscribed.
    pub rooms: Vec<(RoomId, u64)>,
    /// The position up to which it has everything.
    pub after: u64,
    /// The position up to which it wants everything.
    pub upto: u64,
    /// The most entries that it may be given.
    pub most: usize,
    /// The most bytes of bodies that it may be given.
    pub most_bytes: usize,
}

/// By which right a process writes: the number of its term, as long as that lasts.
pub type Terms = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// The part of a store that lets a lost connection be taken up again.
///
/// All entries of all rooms stand in one dense order of positions, which is the order of their commits; a position is
/// given to an entry in the transaction that stores it. What [`crate::Store`] promises of its calls holds here too.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Where the order stood at the newest commit that this process knows of.
    fn position(&self) -> LogPosition;

    /// Where the order stands now, other nodes' commits included.
    async fn read_position(&self) -> Result<LogPosition, StoreError>;

    /// How many other processes have the store open and gave a sign of life of late. They write, too.
    async fn other_nodes(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// As [`crate::Store::append`], and says where in the order of all entries the new ones are.
    async fn append_placed(&self, entries: Vec<NewEntry>) -> Result<Placed, StoreError>;

    /// Removes a room as [`crate::Store::delete_room`] does, and appends an entry that says so: both in one transaction, or
    /// neither. The entry's result is [`Rejected::NoSuchRoom`], and nothing was done, if there is no such room.
    async fn remove_placed(&self, room: RoomId, word: NewEntry) -> Result<Placed, StoreError>;

    /// From now on entries are appended only as long as `terms` says that this process may: in the term in which they were asked
    /// for, and not in a later one. That is looked at again when nobody else can append any more and only the commit is left;
    /// a process that stands still after that is let go of within two seconds. Others are answered [`crate::Outage::Fenced`].
    ///
    /// A store of one process does not ask.
    fn fence(&self, _terms: Terms) {}

    /// The entries at positions after `after` up to `upto` that are still kept, `limit` at most, in order.
    async fn placed(&self, after: u64, upto: u64, limit: u32) -> Result<Vec<PlacedEntry>, StoreError>;

    /// Which room the entry at a position is of, also if that can't be read; `None` if it is no longer kept.
    async fn room_at(&self, pos: u64) -> Result<Option<RoomId>, StoreError>;

    /// What a session missed, in the order of positions; `None` if some of it is no longer kept, or it is too much.
    async fn missed(&self, ask: Missed) -> Result<Option<Vec<PlacedEntry>>, StoreError>;

    /// A session begins, connected and without rooms.
    async fn begin_session(&self, session: NewSession) -> Result<(), StoreError>;

    /// The session gets the room's entries after `after` from now on, as long as its user's `membership` lasts (see
    /// [`crate::Member::membership`]). If it was subscribed to it before in the same one, it stays so from there. `false` if
    /// its holder does not have it any more.
    async fn subscribe(
        &self,
        key: SessionKey,
        holder: Holder,
        room: RoomId,
        after: u64,
        membership: u64,
    ) -> Result<bool, StoreError>;

    /// The session is no longer subscribed to these rooms.
    async fn unsubscribe(
        &self,
        key: SessionKey,
        holder: Holder,
        rooms: Vec<RoomId>,
    ) -> Result<(), StoreError>;

    /// The session's connection was lost at `at`. Of the user's lost sessions only the latest `keep` are kept.
    async fn lose_session(
        &self,
        key: SessionKey,
        holder: Holder,
        at: i64,
        keep: u32,
    ) -> Result<(), StoreError>;

    /// The session is over for good.
    async fn end_session(&self, key: SessionKey, holder: Holder) -> Result<(), StoreError>;

    /// Forgets the user's lost sessions.
    async fn end_lost_sessions(&self, user: &str) -> Result<(), StoreError>;

    /// Gives a session to a new holder, also from one of another process, if it is the user's, was not lost for too long, and its user has been a member
    /// of each of its rooms since it subscribed. A session of theirs that fails this is over; that of another user is
    /// left alone.
    async fn resume_session(&self, ask: Resume) -> Result<Option<Resumed>, StoreError>;

    /// A process begins to serve: sessions that no connection can have any more were lost when [`Sessions::alive`] was
    /// last told of the process that had them. Those of other living processes stay.
    async fn lose_all_sessions(&self) -> Result<(), StoreError>;

    /// The process was alive at `at`; sessions of processes that have died are lost as of when they were last alive, and those that
    /// were lost before `lost_before` are forgotten.
    async fn alive(&self, at: i64, lost_before: i64) -> Result<(), StoreError>;
}
