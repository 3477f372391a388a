//! Forwarding of [`Sessions`].

use async_trait::async_trait;
use roomful_store::{
    LogEntry, Missed, NewSession, Resume, Resumed, RoomId, SessionKey, SessionOwner, Sessions, StoreError,
    Subscribed,
};

use super::{Call, HookedStore, StoreHooks};

#[async_trait]
impl<H: StoreHooks> Sessions for HookedStore<H> {
    async fn missed(&self, ask: Missed) -> Result<Option<Vec<LogEntry>>, StoreError> {
        self.before(Call::ForClient).await?.missed(ask).await
    }

    async fn begin_session(&self, session: NewSession) -> Result<(), StoreError> {
        self.before(Call::BeginSession)
            .await?
            .begin_session(session)
            .await
    }

    async fn subscribe(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        room: RoomId,
        after: u64,
        membership: u64,
    ) -> Result<bool, StoreError> {
        self.before(Call::ForClient)
            .await?
            .subscribe(key, owner, room, after, membership)
            .await
    }

    async fn subscribe_all(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        user: &str,
        rooms: Vec<(RoomId, u64)>,
    ) -> Result<Subscribed, StoreError> {
        self.before(Call::ForClient)
            .await?
            .subscribe_all(key, owner, user, rooms)
            .await
    }

    async fn unsubscribe(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        rooms: Vec<RoomId>,
    ) -> Result<(), StoreError> {
        self.inner.unsubscribe(key, owner, rooms).await
    }

    async fn mark_session_lost(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        at: i64,
        keep: u32,
    ) -> Result<(), StoreError> {
        self.before(Call::MarkSessionLost)
            .await?
            .mark_session_lost(key, owner, at, keep)
            .await
    }

    async fn end_lost_sessions(&self, user: &str) -> Result<(), StoreError> {
        self.inner.end_lost_sessions(user).await
    }

    async fn end_session(&self, key: SessionKey, owner: SessionOwner) -> Result<(), StoreError> {
        self.inner.end_session(key, owner).await
    }

    async fn resume_session(&self, ask: Resume) -> Result<Option<Resumed>, StoreError> {
        self.before(Call::ResumeSession).await?.resume_session(ask).await
    }

    async fn mark_all_sessions_lost(&self) -> Result<(), StoreError> {
        self.inner.mark_all_sessions_lost().await
    }

    async fn heartbeat(&self, at: i64, lost_before: i64) -> Result<(), StoreError> {
        self.inner.heartbeat(at, lost_before).await
    }
}
