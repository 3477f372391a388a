//! Forwarding of [`Rooms`].

use async_trait::async_trait;
use roomful_store::{RoomChange, RoomId, RoomRow, Rooms, StoreError};

use super::{Call, HookedStore, StoreHooks};

#[async_trait]
impl<H: StoreHooks> Rooms for HookedStore<H> {
    async fn open_room(&self, name: &str, create: bool, at: i64) -> Result<Option<RoomRow>, StoreError> {
        self.before(Call::ForClient)
            .await?
            .open_room(name, create, at)
            .await
    }

    async fn find_rooms(&self, names: &[String]) -> Result<Vec<Option<RoomRow>>, StoreError> {
        self.before(Call::ForClient).await?.find_rooms(names).await
    }

    async fn create_room(&self, name: &str, user: &str, at: i64) -> Result<Option<RoomRow>, StoreError> {
        self.inner.create_room(name, user, at).await
    }

    async fn room(&self, id: RoomId) -> Result<Option<RoomRow>, StoreError> {
        self.inner.room(id).await
    }

    async fn put_room(&self, name: &str, change: RoomChange, at: i64) -> Result<(RoomRow, bool), StoreError> {
        self.inner.put_room(name, change, at).await
    }

    async fn delete_room(&self, room: RoomId) -> Result<bool, StoreError> {
        self.inner.delete_room(room).await
    }

    async fn rooms(&self, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
        self.inner.rooms(after, limit).await
    }
}
