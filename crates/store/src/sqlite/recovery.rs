//! The part of the store that lets a lost connection be taken up again, call by call.

use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::{SqliteStore, append, positions, sessions};
use crate::{
    Holder, LogPosition, Missed, NewEntry, NewSession, Placed, PlacedEntry, Resume, Resumed, RoomId,
    SessionKey, Sessions, StoreError,
};

#[async_trait]
impl Sessions for SqliteStore {
    fn position(&self) -> LogPosition {
        LogPosition {
            epoch: self.epoch.clone(),
            pos: self.pos.load(Ordering::Acquire),
        }
    }

    async fn read_position(&self) -> Result<LogPosition, StoreError> {
        self.read(sessions::position).await
    }

    async fn append_placed(&self, entries: Vec<NewEntry>) -> Result<Placed, StoreError> {
        self.write(append::Append(entries)).await
    }

    async fn remove_placed(&self, room: RoomId, word: NewEntry) -> Result<Placed, StoreError> {
        self.write(append::Remove { room, word }).await
    }

    async fn placed(&self, after: u64, upto: u64, limit: u32) -> Result<Vec<PlacedEntry>, StoreError> {
        self.read(move |conn| positions::between(conn, after, upto, limit))
            .await
    }

    async fn room_at(&self, pos: u64) -> Result<Option<RoomId>, StoreError> {
        self.read(move |conn| positions::room_at(conn, pos)).await
    }

    async fn missed(&self, ask: Missed) -> Result<Option<Vec<PlacedEntry>>, StoreError> {
        self.read(move |conn| positions::missed(conn, &ask)).await
    }

    async fn begin_session(&self, session: NewSession) -> Result<(), StoreError> {
        self.write(sessions::Begin(session)).await
    }

    async fn subscribe(
        &self,
        key: SessionKey,
        holder: Holder,
        room: RoomId,
        after: u64,
        membership: u64,
    ) -> Result<bool, StoreError> {
        let session = sessions::Held { key, holder };
        let subscribe = sessions::Subscribe {
            session,
            room,
            after,
            membership,
        };
        self.write(subscribe).await
    }

    async fn unsubscribe(
        &self,
        key: SessionKey,
        holder: Holder,
        rooms: Vec<RoomId>,
    ) -> Result<(), StoreError> {
        let session = sessions::Held { key, holder };
        self.write(sessions::Unsubscribe { session, rooms }).await
    }

    async fn lose_session(
        &self,
        key: SessionKey,
        holder: Holder,
        at: i64,
        keep: u32,
    ) -> Result<(), StoreError> {
        let session = sessions::Held { key, holder };
        self.write(sessions::Lose { session, at, keep }).await
    }

    async fn end_session(&self, key: SessionKey, holder: Holder) -> Result<(), StoreError> {
        self.write(sessions::End(sessions::Held { key, holder })).await
    }

    async fn end_lost_sessions(&self, user: &str) -> Result<(), StoreError> {
        self.write(sessions::EndLost(user.to_owned())).await
    }

    async fn resume_session(&self, ask: Resume) -> Result<Option<Resumed>, StoreError> {
        self.write(sessions::Take(ask)).await
    }

    async fn lose_all_sessions(&self) -> Result<(), StoreError> {
        self.write(sessions::LoseAll).await
    }

    async fn alive(&self, at: i64, lost_before: i64) -> Result<(), StoreError> {
        self.write(sessions::Alive { at, lost_before }).await
    }
}
