//! The `Sessions` trait on PostgreSQL.

use async_trait::async_trait;

use super::{PostgresStore, nodes, positions, sessions};
use crate::{
    AppendResult, FencingTokens, LogEntry, LogHead, LogPosition, Missed, NewEntry, NewSession, Resume,
    Resumed, RoomId, SessionKey, SessionOwner, Sessions, StoreError,
};

impl PostgresStore {
    fn owned_session(&self, key: SessionKey, owner: SessionOwner) -> sessions::OwnedSession {
        let node = self.shared.log_state.node();
        sessions::OwnedSession { node, key, owner }
    }
}

#[async_trait]
impl Sessions for PostgresStore {
    fn log_head(&self) -> LogHead {
        self.shared.log_state.log_head()
    }

    async fn read_log_head(&self) -> Result<LogHead, StoreError> {
        self.counted(self.gathered.read_log_head.ask(()).await)
    }

    async fn other_nodes(&self) -> Result<u64, StoreError> {
        let (conn, limit) = (self.conn().await?, self.shared.options.node_timeout);
        self.told(nodes::others(&conn, self.shared.log_state.node(), limit).await)
    }

    fn fence(&self, tokens: FencingTokens) {
        self.appender.fence(tokens);
    }

    async fn append_with_positions(&self, entries: Vec<NewEntry>) -> Result<AppendResult, StoreError> {
        self.counted(self.appender.append(entries).await)
    }

    async fn delete_room_with(&self, room: RoomId, control: NewEntry) -> Result<AppendResult, StoreError> {
        self.empty_room(room).await?;
        self.counted(self.appender.remove(room, control).await)
    }

    async fn log_entries(
        &self,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.told(positions::between(&self.conn().await?, after, upto, limit).await)
    }

    async fn room_at(&self, position: LogPosition) -> Result<Option<RoomId>, StoreError> {
        self.told(positions::room_at(&self.conn().await?, position).await)
    }

    async fn missed(&self, ask: Missed) -> Result<Option<Vec<LogEntry>>, StoreError> {
        match self.counted(self.gathered.missed.ask(ask.clone()).await)? {
            None => Ok(None),
            Some(spans) if spans.is_empty() => Ok(Some(Vec::new())),
            // Most reconnecting clients missed nothing and end above. Boxing keeps their futures small.
            Some(spans) => {
                let read = async { self.told(positions::missed(&self.conn().await?, &ask, &spans).await) };
                Box::pin(read).await
            }
        }
    }

    async fn begin_session(&self, session: NewSession) -> Result<(), StoreError> {
        self.counted(self.gathered.new_sessions.ask(session).await)
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
        self.told(sessions::subscribe(&self.conn().await?, session, room, after, membership).await)
    }

    async fn unsubscribe(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        rooms: Vec<RoomId>,
    ) -> Result<(), StoreError> {
        let session = self.owned_session(key, owner);
        self.told(sessions::unsubscribe(&self.conn().await?, session, &rooms).await)
    }

    async fn mark_session_lost(
        &self,
        key: SessionKey,
        owner: SessionOwner,
        at: i64,
        keep: u32,
    ) -> Result<(), StoreError> {
        let lost = sessions::Lost { key, owner, at, keep };
        self.counted(self.gathered.lost_sessions.ask(lost).await)
    }

    async fn end_session(&self, key: SessionKey, owner: SessionOwner) -> Result<(), StoreError> {
        let session = self.owned_session(key, owner);
        self.told(sessions::end(&self.conn().await?, session).await)
    }

    async fn end_lost_sessions(&self, user: &str) -> Result<(), StoreError> {
        let limit = self.shared.options.node_timeout;
        self.told(sessions::end_lost(&self.conn().await?, user, limit).await)
    }

    async fn resume_session(&self, ask: Resume) -> Result<Option<Resumed>, StoreError> {
        self.counted(self.gathered.resumed_sessions.ask(ask).await)
    }

    async fn mark_all_sessions_lost(&self) -> Result<(), StoreError> {
        let conn = self.conn().await?;
        self.told(nodes::lose_own(&conn, self.shared.log_state.node()).await)
    }

    async fn heartbeat(&self, at: i64, lost_before: i64) -> Result<(), StoreError> {
        let shared = &self.shared;
        let heartbeat_pool = self.told(shared.heartbeat_pool.get().await)?;
        self.told(nodes::alive(&heartbeat_pool, shared.log_state.node(), at).await)?;
        drop(heartbeat_pool);
        let conn = self.conn().await?;
        self.told(sessions::forget(&conn, lost_before, shared.options.node_timeout).await)
    }
}
