//! Forwarding of [`Moderation`].

use async_trait::async_trait;
use roomful_store::{
    AppendResult, Block, Moderation, ModerationAct, NewEntry, Restrictions, RoomId, RoomRules, Sanction,
    SanctionPage, StoreError,
};

use super::{HookedStore, StoreHooks};

#[async_trait]
impl<H: StoreHooks> Moderation for HookedStore<H> {
    async fn moderate(&self, act: ModerationAct, control: NewEntry) -> Result<AppendResult, StoreError> {
        self.hooks.moderate(&*self.inner, act, control).await
    }

    async fn sanctions_of(
        &self,
        room: Option<RoomId>,
        user: &str,
        now: i64,
    ) -> Result<Vec<Sanction>, StoreError> {
        self.inner.sanctions_of(room, user, now).await
    }

    async fn all_sanctions_of(&self, user: &str, now: i64, limit: u32) -> Result<Vec<Sanction>, StoreError> {
        self.inner.all_sanctions_of(user, now, limit).await
    }

    async fn sanctions(&self, page: SanctionPage) -> Result<Vec<Sanction>, StoreError> {
        self.inner.sanctions(page).await
    }

    async fn mutes_among(
        &self,
        room: RoomId,
        users: &[String],
        now: i64,
    ) -> Result<Vec<Sanction>, StoreError> {
        self.inner.mutes_among(room, users, now).await
    }

    async fn restrictions(
        &self,
        rooms: &[RoomId],
        user: &str,
        now: i64,
    ) -> Result<Vec<Restrictions>, StoreError> {
        self.inner.restrictions(rooms, user, now).await
    }

    async fn room_rules(&self, room: RoomId) -> Result<RoomRules, StoreError> {
        self.inner.room_rules(room).await
    }

    async fn is_banned(&self, user: &str, now: i64) -> Result<bool, StoreError> {
        self.inner.is_banned(user, now).await
    }

    async fn moderators(&self, room: RoomId, limit: u32) -> Result<Vec<String>, StoreError> {
        self.inner.moderators(room, limit).await
    }

    async fn messages_of(
        &self,
        room: RoomId,
        user: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        self.inner.messages_of(room, user, before, limit).await
    }

    async fn blocks(&self, user: &str) -> Result<Vec<Block>, StoreError> {
        self.inner.blocks(user).await
    }

    async fn blockers_among(&self, user: &str, candidates: &[String]) -> Result<Vec<String>, StoreError> {
        self.inner.blockers_among(user, candidates).await
    }

    async fn forget_sanctions(&self, cutoff: i64) -> Result<u64, StoreError> {
        self.inner.forget_sanctions(cutoff).await
    }
}
