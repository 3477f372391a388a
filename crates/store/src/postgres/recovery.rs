//! The `Sessions` trait on PostgreSQL.

use async_trait::async_trait;

use super::{PostgresStore, nodes, positions, sessions};
use crate::{
    LogEntry, Missed, NewSession, Resume, Resumed, RoomId, SessionKey, SessionOwner, Sessions, StoreError,
    Subscribed,
};

impl PostgresStore {
    pub(super) fn owned_session(&self, key: SessionKey, owner: SessionOwner) -> sessions::OwnedSession {
        let node = self.shared.log_state.node();
        sessions::OwnedSession { node, key, owner }
    }
}

#[async_trait]
impl Sessions for PostgresStore {
    async fn missed(&self, ask: Missed) -> Result<Option<Vec<LogEntry>>, StoreError> {
        match self.counted(self.batched_calls.missed.ask(ask.clone()).await)? {
            None => Ok(None),
            Some(spans) if spans.is_empty() => Ok(Some(Vec::new())),
            // Most reconnecting clients missed nothing and end above. Boxing keeps their futures small.
            Some(spans) => {
                let read = async { self.checked(positions::missed(&self.conn().await?, &ask, &spans).await) };
                Box::pin(read).await
            }
        }
    }

    async fn begin_session(&self, session: NewSession) -> Result<(), StoreError> {
        self.counted(self.batched_calls.new_sessions.ask(session).await)
    }

    async fn subscribe(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        room: RoomId,
        after: u64,
        membership: u64,
    ) -> Result<bool, StoreError> {
        let session = self.owned_session(key, owner);
        self.checked(sessions::subscribe(&self.conn().await?, session, room, after, membership).await)
    }

    async fn subscribe_all(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        user: &str,
        rooms: Vec<(RoomId, u64)>,
    ) -> Result<Subscribed, StoreError> {
        let session = self.owned_session(key, owner);
        self.checked(sessions::subscribe_all(&self.conn().await?, session, user, &rooms).await)
    }

    async fn unsubscribe(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        rooms: Vec<RoomId>,
    ) -> Result<(), StoreError> {
        let session = self.owned_session(key, owner);
        self.checked(sessions::unsubscribe(&self.conn().await?, session, &rooms).await)
    }

    async fn mark_session_lost(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        at: i64,
        keep: u32,
    ) -> Result<(), StoreError> {
        let lost = sessions::Lost { key, owner, at, keep };
        self.counted(self.batched_calls.lost_sessions.ask(lost).await)
    }

    async fn end_session(&self, key: SessionKey, owner: SessionOwner) -> Result<(), StoreError> {
        let session = self.owned_session(key, owner);
        self.checked(sessions::end(&self.conn().await?, session).await)
    }

    async fn end_lost_sessions(&self, user: &str) -> Result<(), StoreError> {
        let limit = self.shared.options.node_timeout;
        self.checked(sessions::end_lost(&self.conn().await?, user, limit).await)
    }

    async fn resume_session(&self, ask: Resume) -> Result<Option<Resumed>, StoreError> {
        self.counted(self.batched_calls.resumed_sessions.ask(ask).await)
    }

    async fn mark_all_sessions_lost(&self) -> Result<(), StoreError> {
        let conn = self.conn().await?;
        self.checked(nodes::lose_own(&conn, self.shared.log_state.node()).await)
    }

    async fn heartbeat(&self, at: i64, lost_before: i64) -> Result<(), StoreError> {
        let shared = &self.shared;
        let conn = self.checked(shared.heartbeat_pool.get().await)?;
        self.checked(nodes::alive(&conn, shared.log_state.node(), at).await)?;
        drop(conn);
        let conn = self.conn().await?;
        self.checked(sessions::forget(&conn, lost_before, shared.options.node_timeout).await)
    }
}
