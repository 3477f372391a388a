//! The `Sessions` trait on SQLite.

use async_trait::async_trait;

use super::{SqliteStore, positions, sessions};
use crate::{
    LogEntry, Missed, NewSession, Resume, Resumed, RoomId, SessionKey, SessionOwner, Sessions, StoreError,
    Subscribed,
};

#[async_trait]
impl Sessions for SqliteStore {
    async fn missed(&self, ask: Missed) -> Result<Option<Vec<LogEntry>>, StoreError> {
        self.read(move |conn| positions::missed(conn, &ask)).await
    }

    async fn begin_session(&self, session: NewSession) -> Result<(), StoreError> {
        self.write(sessions::Begin(session)).await
    }

    async fn subscribe(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        room: RoomId,
        after: u64,
        membership: u64,
    ) -> Result<bool, StoreError> {
        let session = sessions::OwnedSession { key, owner };
        let subscribe = sessions::Subscribe {
            session,
            room,
            after,
            membership,
        };
        self.write(subscribe).await
    }

    async fn subscribe_all(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        user: &str,
        rooms: Vec<(RoomId, u64)>,
    ) -> Result<Subscribed, StoreError> {
        let session = sessions::OwnedSession { key, owner };
        let user = user.to_owned();
        self.write(sessions::SubscribeAll { session, user, rooms }).await
    }

    async fn unsubscribe(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        rooms: Vec<RoomId>,
    ) -> Result<(), StoreError> {
        let session = sessions::OwnedSession { key, owner };
        self.write(sessions::Unsubscribe { session, rooms }).await
    }

    async fn mark_session_lost(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        at: i64,
        keep: u32,
    ) -> Result<(), StoreError> {
        let session = sessions::OwnedSession { key, owner };
        self.write(sessions::Lose { session, at, keep }).await
    }

    async fn end_session(&self, key: SessionKey, owner: SessionOwner) -> Result<(), StoreError> {
        self.write(sessions::End(sessions::OwnedSession { key, owner }))
            .await
    }

    async fn end_lost_sessions(&self, user: &str) -> Result<(), StoreError> {
        self.write(sessions::EndLost(user.to_owned())).await
    }

    async fn resume_session(&self, ask: Resume) -> Result<Option<Resumed>, StoreError> {
        self.write(sessions::Take(ask)).await
    }

    async fn mark_all_sessions_lost(&self) -> Result<(), StoreError> {
        self.write(sessions::LoseAll).await
    }

    async fn heartbeat(&self, at: i64, lost_before: i64) -> Result<(), StoreError> {
        self.write(sessions::Alive { at, lost_before }).await
    }
}
