//! Forwarding of [`Members`].

use async_trait::async_trait;
use roomful_store::{
    Delivered, EnterRoom, Entered, Inbox, InboxCursor, Joined, Marked, Member, Members, Role, RoomId,
    RoomRow, StoreError, Unread,
};

use super::{Call, HookedStore, StoreHooks};

#[async_trait]
impl<H: StoreHooks> Members for HookedStore<H> {
    async fn join(&self, room: RoomId, user: &str, at: i64) -> Result<Option<Joined>, StoreError> {
        self.before(Call::ForClient).await?.join(room, user, at).await
    }

    async fn enter_room(&self, ask: EnterRoom) -> Result<Option<Entered>, StoreError> {
        self.before(Call::ForClient).await?.enter_room(ask).await
    }

    async fn memberships(&self, user: &str, rooms: &[RoomId]) -> Result<Vec<Option<Member>>, StoreError> {
        self.before(Call::ForClient).await?.memberships(user, rooms).await
    }

    async fn put_member(
        &self,
        room: RoomId,
        user: &str,
        role: Option<Role>,
        at: i64,
    ) -> Result<Option<Joined>, StoreError> {
        self.inner.put_member(room, user, role, at).await
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        self.inner.members(room, after, limit).await
    }

    async fn count_members(&self, room: RoomId) -> Result<u64, StoreError> {
        self.inner.count_members(room).await
    }

    async fn leave(&self, room: RoomId, user: &str) -> Result<bool, StoreError> {
        self.inner.leave(room, user).await
    }

    async fn member(&self, room: RoomId, user: &str) -> Result<Option<Member>, StoreError> {
        self.before(Call::ForClient).await?.member(room, user).await
    }

    async fn was_member(&self, room: RoomId, user: &str) -> Result<bool, StoreError> {
        self.before(Call::ForClient).await?.was_member(room, user).await
    }

    async fn rooms_of(&self, user: &str, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
        self.inner.rooms_of(user, limit).await
    }

    async fn sharing_a_room(&self, user: &str, others: &[String]) -> Result<Vec<String>, StoreError> {
        self.inner.sharing_a_room(user, others).await
    }

    async fn inbox(&self, user: &str, limit: u32, after: Option<InboxCursor>) -> Result<Inbox, StoreError> {
        self.before(Call::Inbox).await?.inbox(user, limit, after).await
    }

    async fn mark_read(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
        at: i64,
    ) -> Result<Option<Marked>, StoreError> {
        self.inner.mark_read(room, user, seq, at).await
    }

    async fn mark_room_delivered(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
    ) -> Result<Option<Delivered>, StoreError> {
        self.inner.mark_room_delivered(room, user, seq).await
    }

    async fn unread(&self, room: RoomId, user: &str) -> Result<Option<Unread>, StoreError> {
        self.before(Call::ForClient).await?.unread(room, user).await
    }
}
