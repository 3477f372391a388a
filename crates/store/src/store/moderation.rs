//! Moderation: bans, mutes, frozen rooms, slow mode, and the users whom a user has blocked.

use async_trait::async_trait;

use crate::{
    AppendResult, Block, ModerationAct, NewEntry, Restrictions, RoomId, RoomRules, Sanction, SanctionPage,
    StoreError,
};

/// The sanctions and blocks of all users, and the rules of all rooms.
#[async_trait]
pub trait Moderation: Send + Sync {
    /// Carries out an act and appends the entry that announces it: both in one transaction, or neither.
    ///
    /// From the entry's position on, the log takes no entry that the act forbids, whichever node appends it.
    /// The result is [`crate::Rejected::NoSuchRoom`] if the act's room does not exist.
    async fn moderate(&self, act: ModerationAct, control: NewEntry) -> Result<AppendResult, StoreError>;

    /// The sanctions of a user that hold at the time `now`: those for all rooms, and those for `room`.
    async fn sanctions_of(
        &self,
        room: Option<RoomId>,
        user: &str,
        now: i64,
    ) -> Result<Vec<Sanction>, StoreError>;

    /// All sanctions of a user that hold at the time `now`: first those for all rooms, then those for single
    /// rooms by the room's id, `limit` at most.
    async fn all_sanctions_of(&self, user: &str, now: i64, limit: u32) -> Result<Vec<Sanction>, StoreError>;

    /// A page of sanctions, by user.
    async fn sanctions(&self, page: SanctionPage) -> Result<Vec<Sanction>, StoreError>;

    /// The mutes of these users for the room that hold at the time `now`, in no particular order.
    async fn mutes_among(
        &self,
        room: RoomId,
        users: &[String],
        now: i64,
    ) -> Result<Vec<Sanction>, StoreError>;

    /// What restrains a user from writing into each of these rooms at the time `now`, in their order.
    async fn restrictions(
        &self,
        rooms: &[RoomId],
        user: &str,
        now: i64,
    ) -> Result<Vec<Restrictions>, StoreError>;

    /// The rules of a room; the default for one without.
    async fn room_rules(&self, room: RoomId) -> Result<RoomRules, StoreError>;

    /// Whether the user is banned from all rooms at the time `now`.
    async fn is_banned(&self, user: &str, now: i64) -> Result<bool, StoreError>;

    /// The moderators and owners of a room, by id, `limit` at most.
    async fn moderators(&self, room: RoomId, limit: u32) -> Result<Vec<String>, StoreError>;

    /// The newest messages of a user in a room before the seq `before`, `limit` at most, without deleted
    /// ones.
    async fn messages_of(
        &self,
        room: RoomId,
        user: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError>;

    /// The users whom a user has blocked, by id.
    async fn blocks(&self, user: &str) -> Result<Vec<Block>, StoreError>;

    /// Those of `candidates` who have blocked `user`, in no particular order.
    async fn blockers_among(&self, user: &str, candidates: &[String]) -> Result<Vec<String>, StoreError>;

    /// Deletes the sanctions that ended before `cutoff`. Answers how many it deleted.
    async fn forget_sanctions(&self, cutoff: i64) -> Result<u64, StoreError>;
}
