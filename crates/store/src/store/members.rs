//! Members of rooms: memberships, read and delivered marks, unread counts, inboxes.

use async_trait::async_trait;

use crate::{
    CatchUp, Delivered, EnterRoom, Entered, Inbox, InboxCursor, Joined, Marked, Member, Role, RoomId,
    RoomRow, StoreError, Unread,
};

/// The members of all rooms.
#[async_trait]
pub trait Members: Send + Sync {
    /// Makes the user a member, unless they are one. A new member's read mark is 0: everything that is kept
    /// is unread. A returning member gets back the marks of their last membership. Answers `None` if the
    /// room is private and the user is not a member.
    async fn join(&self, room: RoomId, user: &str, at: i64) -> Result<Option<Joined>, StoreError> {
        let ask = EnterRoom {
            user_id: user.to_owned(),
            at,
            starts_read: false,
            session: None,
            catch_up: CatchUp {
                room,
                since: None,
                upto: 0,
                limit: 1,
            },
        };
        let entered = self.enter_room(ask).await?;
        Ok(entered.map(|entered| entered.joined))
    }

    /// Makes the user a member like [`Self::join`], subscribes their session, and reads what their client
    /// needs of the room.
    async fn enter_room(&self, ask: EnterRoom) -> Result<Option<Entered>, StoreError>;

    /// Makes the user a member of a room of any kind, and sets their role if `role` names one.
    async fn put_member(
        &self,
        room: RoomId,
        user: &str,
        role: Option<Role>,
        at: i64,
    ) -> Result<Option<Joined>, StoreError>;

    /// The members whose ids follow `after` in byte order, `limit` at most.
    async fn members(&self, room: RoomId, after: Option<&str>, limit: u32)
    -> Result<Vec<Member>, StoreError>;

    /// How many members the room has.
    async fn count_members(&self, room: RoomId) -> Result<u64, StoreError>;

    /// Ends the membership. Answers false if the user is not a member.
    async fn leave(&self, room: RoomId, user: &str) -> Result<bool, StoreError>;

    /// The user's membership; `None` if they are not a member.
    async fn member(&self, room: RoomId, user: &str) -> Result<Option<Member>, StoreError>;

    /// Whether the user is a member, or was one once.
    async fn was_member(&self, room: RoomId, user: &str) -> Result<bool, StoreError>;

    /// The user's memberships of several rooms, in their order.
    async fn memberships(&self, user: &str, rooms: &[RoomId]) -> Result<Vec<Option<Member>>, StoreError>;

    /// The rooms the user is a member of, the latest joined first, `limit` at most.
    async fn rooms_of(&self, user: &str, limit: u32) -> Result<Vec<RoomRow>, StoreError>;

    /// Which of `others` are members of a room that the user is a member of, in the order of `others`.
    async fn sharing_a_room(&self, user: &str, others: &[String]) -> Result<Vec<String>, StoreError>;

    /// A page of the user's rooms, the one with the latest message first, beginning behind `after`. It has
    /// at most `limit` rooms, and fewer if their messages fill [`crate::Options::page_bytes`].
    async fn inbox(&self, user: &str, limit: u32, after: Option<InboxCursor>) -> Result<Inbox, StoreError>;

    /// Moves the user's read mark up to `seq`, or to the room's head if that is lower, and the delivered
    /// mark with it. Marks never go back. `None` if the user is not a member. An error may also mean that
    /// the mark was moved and the unread messages could not be counted: repeat the call.
    async fn mark_read(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
        at: i64,
    ) -> Result<Option<Marked>, StoreError>;

    /// Moves the user's delivered mark up to `seq`, or to the room's head if that is lower. It never goes
    /// back. `None` if the user is not a member.
    async fn mark_room_delivered(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
    ) -> Result<Option<Delivered>, StoreError>;

    /// The user's unread messages and mentions. `None` if they are not a member.
    async fn unread(&self, room: RoomId, user: &str) -> Result<Option<Unread>, StoreError>;
}
