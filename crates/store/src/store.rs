//! The seam between the rules of chat and whatever keeps its data.

use async_trait::async_trait;

use crate::{
    Appended, ChosenStatus, Delivered, DeliveredMark, DeliveredUpto, Entry, History, Inbox, InboxCursor,
    Joined, Marked, Member, NewEntry, NewNotification, NotificationList, NotificationPage,
    NotificationRetention, NotificationsRead, Outbox, Page, Posted, ReadWhich, Rejected, Retention, Role,
    RoomChange, RoomId, RoomRow, Sessions, StoreError, Undelivered, Unread, UserRow,
};

/// A durable log of rooms with their members.
///
/// For every call that writes: when it returns `Ok`, the change is committed and survives a crash of the process
/// and of the machine; when it returns an error, nothing of it was changed. (After a power cut in the midst of a
/// failing commit a change may turn up nevertheless: retry under the same client id.) A call whose future is
/// dropped after its first poll has either not begun or is carried out all the same.
///
/// Every call may answer [`StoreError::Unavailable`]. Calls that take a room's id answer `None`, or
/// [`Rejected::NoSuchRoom`], if there is no such room.
#[async_trait]
pub trait Store: Sessions + Send + Sync + 'static {
    /// Appends entries in the order given, in one commit, and answers one result for each, in that order.
    ///
    /// Each room's new entries are numbered from its head on without a hole. A rejected entry takes no number and
    /// does not keep the others from being appended. An edit, delete or reaction takes effect on its message in the
    /// same commit; who may make it is the caller's business. Rooms which thereby exceed [`crate::Options::retention`] lose
    /// their oldest entries.
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<Result<Appended, Rejected>>, StoreError> {
        Ok(self.append_with_positions(entries).await?.results)
    }

    /// The room of this name. If there is none, it is created if `create` says so, with `at` as its time.
    async fn open_room(&self, name: &str, create: bool, at: i64) -> Result<Option<RoomRow>, StoreError>;

    /// The room of this id.
    async fn room(&self, id: RoomId) -> Result<Option<RoomRow>, StoreError>;

    /// Changes a room, or creates it so, with `at` as its time. Answers the room, and whether it was created.
    async fn put_room(&self, name: &str, change: RoomChange, at: i64) -> Result<(RoomRow, bool), StoreError>;

    /// Removes a room with all that belongs to it; its history goes first, in small commits like those of
    /// [`Store::trim`]. Answers whether there was one. After an error, what is left of its history is still there.
    async fn delete_room(&self, room: RoomId) -> Result<bool, StoreError>;

    /// The rooms whose names come after `after` in the order of their bytes, `limit` at most.
    async fn rooms(&self, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, StoreError>;

    /// Makes the user a member, if they are not. A new member's read mark is 0: all that is kept is unread. Whoever
    /// comes back finds the mark they left. A private room takes nobody new this way, and answers `None` to them.
    async fn join(&self, room: RoomId, user: &str, at: i64) -> Result<Option<Joined>, StoreError>;

    /// Makes the user a member whatever the room's kind, and gives them a role if one is named.
    async fn put_member(
        &self,
        room: RoomId,
        user: &str,
        role: Option<Role>,
        at: i64,
    ) -> Result<Option<Joined>, StoreError>;

    /// The members whose ids come after `after` in the order of their bytes, `limit` at most.
    async fn members(&self, room: RoomId, after: Option<&str>, limit: u32)
    -> Result<Vec<Member>, StoreError>;

    /// How many members the room has.
    async fn count_members(&self, room: RoomId) -> Result<u64, StoreError>;

    /// Ends the membership. Answers whether there was one.
    async fn leave(&self, room: RoomId, user: &str) -> Result<bool, StoreError>;

    /// The user's membership, or `None` if they are not a member.
    async fn member(&self, room: RoomId, user: &str) -> Result<Option<Member>, StoreError>;

    /// The rooms the user is a member of, the latest joined first, `limit` at most.
    async fn rooms_of(&self, user: &str, limit: u32) -> Result<Vec<RoomRow>, StoreError>;

    /// Which of `others` are members of a room that the user is a member of, in the order of `others`.
    async fn sharing_a_room(&self, user: &str, others: &[String]) -> Result<Vec<String>, StoreError>;

    /// A page of the user's rooms, the one with the latest message first, beginning behind `after`. `limit` at most;
    /// it may be shorter, see [`crate::Options::page_bytes`].
    async fn inbox(&self, user: &str, limit: u32, after: Option<InboxCursor>) -> Result<Inbox, StoreError>;

    /// A page of the room's log, taken from one consistent state.
    async fn history(&self, room: RoomId, page: Page) -> Result<Option<History>, StoreError>;

    /// One entry, if it is kept.
    async fn entry(&self, room: RoomId, seq: u64) -> Result<Option<Entry>, StoreError>;

    /// Moves the user's read mark up to `seq`, or to the room's head if that is lower. It never moves back, and draws
    /// the delivered mark along. `None` if they are not a member. An error can also come when the mark was moved, but not counted: repeat the call.
    async fn mark_read(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
        at: i64,
    ) -> Result<Option<Marked>, StoreError>;

    /// Moves the user's delivered mark up to `seq`, or to the room's head if that is lower. It never moves back. `None`
    /// if they are not a member.
    async fn mark_room_delivered(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
    ) -> Result<Option<Delivered>, StoreError>;

    /// What the user has not read. `None` if they are not a member.
    async fn unread(&self, room: RoomId, user: &str) -> Result<Option<Unread>, StoreError>;

    /// Remembers a user. Without a name the one known stays; `last_seen` only grows.
    async fn see_user(&self, user: &str, name: Option<&str>, last_seen: i64) -> Result<(), StoreError>;

    /// What the user chose to show as, until they choose again. `at` is a time at which they were seen; like there, it
    /// only grows.
    async fn set_status(
        &self,
        user: &str,
        status: ChosenStatus,
        text: Option<&str>,
        at: i64,
    ) -> Result<(), StoreError>;

    /// What is remembered of these users, in the order asked for, without those never seen.
    async fn users(&self, ids: &[String]) -> Result<Vec<UserRow>, StoreError>;

    /// The user's tokens that were issued before `before` are void. The latest such time counts.
    async fn revoke(&self, user: &str, before: i64) -> Result<(), StoreError>;

    /// The time before which the user's tokens are void, if there is one.
    async fn revoked(&self, user: &str) -> Result<Option<i64>, StoreError>;

    /// Forgets revocations of tokens issued before a time before `cutoff`. Answers how many there were.
    async fn forget_revocations(&self, cutoff: i64) -> Result<u64, StoreError>;

    /// Posts a notification to its users, in one commit; what a user thereby has too many of goes.
    async fn notify(&self, notification: NewNotification) -> Result<Posted, StoreError>;

    /// A page of the user's notifications. `None` if `before` names none of them.
    async fn notifications(
        &self,
        user: &str,
        page: NotificationPage,
    ) -> Result<Option<NotificationList>, StoreError>;

    /// Notes that the user has read one or all of their notifications. `None` if they have none of this id.
    async fn read_notifications(
        &self,
        user: &str,
        which: ReadWhich,
        at: i64,
    ) -> Result<Option<NotificationsRead>, StoreError>;

    /// What a device of the user was not given yet, `limit` notifications and `max_bytes` of bodies at most; one is
    /// always let through.
    async fn undelivered(
        &self,
        user: &str,
        device: &str,
        after: DeliveredUpto,
        limit: u32,
        max_bytes: usize,
    ) -> Result<Undelivered, StoreError>;

    /// Notes what devices were given, in one commit.
    async fn mark_delivered(&self, marks: Vec<DeliveredMark>, at: i64) -> Result<(), StoreError>;

    /// Removes notifications that are too old at the time `now`, in small commits between which others' writes take
    /// their turn. Answers how many it removed.
    async fn trim_notifications(&self, limits: NotificationRetention, now: i64) -> Result<u64, StoreError>;

    /// Removes the oldest entries of every room that exceeds the limits at the time `now`, in small commits between
    /// which others' writes take their turn. Answers how many it removed.
    async fn trim(&self, limits: Retention, now: i64) -> Result<u64, StoreError>;

    /// What tells this database from others, the same for all who have it open: 8 to 32 lower-case hexadecimal digits. Where
    /// several processes can have it open it is for good, a copy by another name or on another server has another one, and a
    /// store that meets another database in its place answers nothing but [`crate::Outage::Replaced`]. Where one process can,
    /// [`crate::new_epochs`] may change it.
    fn identity(&self) -> &str;

    /// Writes and reads something durably, to learn whether the store works.
    async fn check(&self) -> Result<(), StoreError>;

    /// The outbox; `None` if no sink was configured, and no record is ever written.
    fn outbox(&self) -> Option<&dyn Outbox> {
        None
    }

    /// Finishes what was begun, refuses what comes after, and returns when all files are closed.
    async fn close(&self);
}
