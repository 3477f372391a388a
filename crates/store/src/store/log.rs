//! The log: appending entries and reading them, by room and by position.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    Appended, CatchUp, CaughtUp, Entry, History, LogPosition, NewEntry, Page, Reaction, Recorded, Rejected,
    Retention, RoomId, StoreError,
};

/// The newest position of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// 8 characters. Positions can only be compared within one epoch.
    pub epoch: String,
    /// The position of the newest entry; 0 if the log is empty.
    pub position: LogPosition,
}

/// The answer to [`Log::append_with_positions`].
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

/// Answers the fencing token of this process's lease, or `None` once the lease has ended.
pub type FencingTokens = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// The entries of all rooms.
///
/// All entries stand in one dense order of positions, which is the order of their commits: an entry gets
/// its position in the transaction that stores it.
#[async_trait]
pub trait Log: Send + Sync {
    /// Appends entries in the order given, in one commit, and answers one result for each, in that order.
    ///
    /// The new entries of a room get consecutive numbers from its head on. A rejected entry gets no number,
    /// and does not affect the others. An edit, delete or reaction changes its message in the
    /// same commit; the caller checks who may make it. Rooms that exceed [`crate::Options::retention`] lose
    /// their oldest entries.
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<Result<Appended, Rejected>>, StoreError> {
        Ok(self.append_with_positions(entries).await?.results)
    }

    /// Like [`Self::append`], and answers the positions of the new entries.
    async fn append_with_positions(&self, entries: Vec<NewEntry>) -> Result<AppendResult, StoreError>;

    /// Deletes a room like [`Rooms::delete_room`](crate::Rooms::delete_room), and appends an entry that
    /// says so: both in one transaction, or neither. The result is [`Rejected::NoSuchRoom`] if the room
    /// does not exist.
    async fn delete_room_with(&self, room: RoomId, control: NewEntry) -> Result<AppendResult, StoreError>;

    /// From now on the store commits an append only if `tokens` still answers the token that it answered
    /// when the append was queued; otherwise the append fails with [`crate::Outage::Fenced`]. The store
    /// compares the tokens again right before the commit, while it holds the lock of the log: the process
    /// may have been paused. If a process pauses after that, the database ends its transaction within two
    /// seconds.
    ///
    /// Only the first call counts. A store that serves a single process ignores it.
    fn fence(&self, _tokens: FencingTokens) {}

    /// The head of the log at the newest commit that this process knows of.
    fn log_head(&self) -> LogHead;

    /// The head of the log now, with the commits of other processes.
    async fn read_log_head(&self) -> Result<LogHead, StoreError>;

    /// The entries after `after` up to `upto` that are still kept, in order of position, `limit` at most.
    async fn log_entries(
        &self,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError>;

    /// The room of the entry at a position, even if the entry itself cannot be decoded; `None` if it is no
    /// longer kept.
    async fn room_at(&self, position: LogPosition) -> Result<Option<RoomId>, StoreError>;

    /// A page of a room's log, read from one consistent state.
    async fn history(&self, room: RoomId, page: Page) -> Result<Option<History>, StoreError>;

    /// Pages of several rooms, `None` for a room that does not exist, each with at most
    /// [`page_bytes`](crate::Options::page_bytes). Once the pages before it have more than `bytes`, about, a
    /// room gets an empty page with `more`.
    async fn catch_up(&self, asks: Vec<CatchUp>, bytes: usize) -> Result<Vec<Option<CaughtUp>>, StoreError>;

    /// Those of the reactions that the user has made. For messages with more reactions than a page names.
    async fn own_reactions(&self, user: &str, reactions: Vec<Reaction>) -> Result<Vec<Reaction>, StoreError>;

    /// One entry; `None` if it is not kept.
    async fn entry(&self, room: RoomId, seq: u64) -> Result<Option<Entry>, StoreError>;

    /// The entry that the user appended under this client id, if the store still recognises a retry of it.
    async fn recorded(
        &self,
        room: RoomId,
        user: &str,
        client_id: &str,
    ) -> Result<Option<Recorded>, StoreError>;

    /// Deletes the oldest entries of every room that exceeds the limits at the time `now`, in small commits
    /// that let other writes through. Answers how many entries it deleted.
    async fn trim(&self, limits: Retention, now: i64) -> Result<u64, StoreError>;
}
