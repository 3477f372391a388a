//! Rooms: finding, creating, changing, deleting and listing them.

use async_trait::async_trait;

use crate::{RoomChange, RoomId, RoomRow, StoreError};

/// The rooms.
#[async_trait]
pub trait Rooms: Send + Sync {
    /// The room of this name. If there is none and `create` is true, creates it with the time `at`.
    async fn open_room(&self, name: &str, create: bool, at: i64) -> Result<Option<RoomRow>, StoreError>;

    /// The room of this name, created for the user if there is none. `None` if the user has created as many
    /// rooms today as [`Quotas::daily_rooms`](crate::Quotas::daily_rooms) allows. The room goes if it stays
    /// unused, see [`Retention::unused_rooms_for_ms`](crate::Retention::unused_rooms_for_ms).
    async fn create_room(&self, name: &str, user: &str, at: i64) -> Result<Option<RoomRow>, StoreError>;

    /// The rooms of these names, in their order.
    async fn find_rooms(&self, names: &[String]) -> Result<Vec<Option<RoomRow>>, StoreError>;

    /// The room with this id.
    async fn room(&self, id: RoomId) -> Result<Option<RoomRow>, StoreError>;

    /// Changes a room, or creates it in this state with the time `at`. Answers the room, and true if it was
    /// created. From now on the room stays, even if it is unused.
    async fn put_room(&self, name: &str, change: RoomChange, at: i64) -> Result<(RoomRow, bool), StoreError>;

    /// Deletes a room with everything that belongs to it. Its history goes first, in small commits like
    /// those of [`Log::trim`](crate::Log::trim). Answers false if the room does not exist. After an error,
    /// the part of the history that was not deleted yet is still there.
    async fn delete_room(&self, room: RoomId) -> Result<bool, StoreError>;

    /// The rooms whose names follow `after` in byte order, `limit` at most.
    async fn rooms(&self, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, StoreError>;
}
