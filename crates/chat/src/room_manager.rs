//! The rooms in memory: opened once, found by name or id, dropped when nothing needs them.
//!
//! Each subscribed socket, each handler at work and each queued write holds a [`RoomRef`]. The room leaves
//! memory with the last one. It can't leave while one of its writes is under way, so a room that is opened
//! again finds in the store everything that was delivered.

use std::{collections::HashMap, ops::Deref, sync::Arc};

use ::metrics::Gauge;
use parking_lot::Mutex;
use roomful_bus::Subscription;
use roomful_store::{RoomId, RoomRow, Store};

use crate::{
    clock::Clock, error::ChatError, keyed_mutex::KeyedMutex, metrics::count, room::Room, types::RoomName,
};

/// Locks for opening rooms; a room is never opened twice at the same time.
const OPENERS: usize = 256;

/// The bus, as rooms use it.
pub(crate) trait RoomTopics: Send + Sync {
    /// This node gets the messages about the room as long as the subscription lives.
    fn subscribe_room(&self, room: RoomId) -> Subscription;
}

/// All rooms in memory.
pub(crate) struct RoomManager {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    index: Mutex<Index>,
    /// Opening a room waits for the store.
    openers: KeyedMutex,
    gauge: Gauge,
    /// The bus, if other nodes write, too.
    topics: Option<Arc<dyn RoomTopics>>,
}

#[derive(Default)]
struct Index {
    by_id: HashMap<RoomId, Entry>,
    by_name: HashMap<RoomName, RoomId>,
}

struct Entry {
    room: Arc<Room>,
    /// The number of [`RoomRef`]s.
    refs: usize,
}

impl RoomManager {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        topics: Option<Arc<dyn RoomTopics>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            topics,
            clock,
            index: Mutex::default(),
            openers: KeyedMutex::new(OPENERS),
            gauge: ::metrics::gauge!("roomful_rooms"),
        })
    }

    /// The room of this name, from memory or the store. If it does not exist, creates it for the user
    /// `creator`, or answers `None` without one.
    ///
    /// # Errors
    /// `quota_exceeded`: the user has created too many rooms today. `unavailable`, `internal`: the store
    /// failed, or the room was deleted or restored meanwhile.
    pub(crate) async fn open(
        self: &Arc<Self>,
        name: &RoomName,
        creator: Option<&str>,
    ) -> Result<Option<RoomRef>, ChatError> {
        if let Some(room) = self.find(name) {
            return Ok(Some(room));
        }
        let _one_opening = self.openers.lock(name).await;
        if let Some(room) = self.find(name) {
            return Ok(Some(room));
        }
        let open = || self.store.open_room(name.as_str(), false, self.clock.now_ms());
        let row = match (open().await?, creator) {
            (Some(row), _) => row,
            (None, None) => return Ok(None),
            (None, Some(user)) => {
                let created = self.store.create_room(name.as_str(), user, self.clock.now_ms());
                created.await?.ok_or(ChatError::TooManyNewRooms)?
            }
        };
        let room = self.begin(name, &row);
        if self.topics.is_some() {
            Self::refresh_head(&room, open().await?.as_ref())?;
        }
        self.give_name(&room);
        Ok(Some(room))
    }

    /// The rooms of these names like [`Self::open`], in their order. The store is asked once for all, or
    /// twice if other nodes write, too.
    ///
    /// # Errors
    /// As those of [`Self::open`].
    pub(crate) async fn open_all(
        self: &Arc<Self>,
        names: &[&RoomName],
    ) -> Result<Vec<Option<RoomRef>>, ChatError> {
        let mut found: Vec<_> = names.iter().map(|name| self.find(name)).collect();
        let is_missing = |room: &Option<RoomRef>| room.is_none();
        if !found.iter().any(is_missing) {
            return Ok(found);
        }
        let missing = names.iter().zip(&found).filter(|(_, room)| is_missing(room));
        let _one_opening = self.openers.lock_all(missing.map(|(name, _)| name)).await;
        for (name, room) in names.iter().zip(&mut found) {
            *room = room.take().or_else(|| self.find(name));
        }
        let missing: Vec<usize> = (0..names.len()).filter(|at| is_missing(&found[*at])).collect();
        let asked: Vec<_> = missing.iter().map(|at| names[*at].as_str().to_owned()).collect();
        let mut opened = Vec::with_capacity(missing.len());
        for (at, row) in missing.into_iter().zip(self.store.find_rooms(&asked).await?) {
            opened.extend(row.map(|row| (at, self.begin(names[at], &row))));
        }
        if self.topics.is_some() && !opened.is_empty() {
            let asked: Vec<_> = opened
                .iter()
                .map(|(at, _)| names[*at].as_str().to_owned())
                .collect();
            let now = self.store.find_rooms(&asked).await?;
            for ((_, room), now) in opened.iter().zip(now) {
                Self::refresh_head(room, now.as_ref())?;
            }
        }
        for (at, room) in opened {
            self.give_name(&room);
            found[at] = Some(room);
        }
        Ok(found)
    }

    /// Puts a room into memory, not to be found by its name yet. If other nodes write, too, the bus brings
    /// new entries from here on: the row must be read again, see [`Self::refresh_head`].
    fn begin(self: &Arc<Self>, name: &RoomName, row: &RoomRow) -> RoomRef {
        let mut room = Room::new(name.clone(), row);
        room.topic = self.topics.as_ref().map(|topics| topics.subscribe_room(room.id));
        self.insert(room)
    }

    fn refresh_head(room: &Room, now: Option<&RoomRow>) -> Result<(), ChatError> {
        // A room of another epoch: the log was restored meanwhile.
        let same = |now: &&RoomRow| now.id == room.id && *now.epoch == *room.epoch;
        let Some(now) = now.filter(same) else {
            return Err(ChatError::Unavailable(
                "the room was deleted or restored just now; try again",
            ));
        };
        room.opened(now);
        Ok(())
    }

    /// The room of this id, if it is in memory.
    pub(crate) fn get(self: &Arc<Self>, id: RoomId) -> Option<RoomRef> {
        self.index.lock().get(id, self)
    }

    /// Whether a room is in memory.
    pub(crate) fn has(&self, id: RoomId) -> bool {
        self.index.lock().by_id.contains_key(&id)
    }

    /// The ids of the rooms in memory.
    pub(crate) fn ids(&self) -> Vec<RoomId> {
        self.index.lock().by_id.keys().copied().collect()
    }

    /// Forgets all rooms, since the log was restored: a room that is opened from now on is read from the
    /// store. Holders of a [`RoomRef`] keep the former room.
    pub(crate) fn forget_all(&self) {
        let forgotten = std::mem::take(&mut *self.index.lock());
        self.gauge.set(0.0);
        drop(forgotten);
    }

    /// Forgets the name of a deleted room: a room that is opened under it from now on is another one.
    pub(crate) fn detach(&self, room: &Room) {
        let mut index = self.index.lock();
        if index.by_name.get(&room.name) == Some(&room.id) {
            index.by_name.remove(&room.name);
        }
    }

    /// The number of rooms in memory.
    pub(crate) fn len(&self) -> usize {
        self.index.lock().by_id.len()
    }

    fn find(self: &Arc<Self>, name: &RoomName) -> Option<RoomRef> {
        let mut index = self.index.lock();
        let id = *index.by_name.get(name)?;
        index.get(id, self)
    }

    fn insert(self: &Arc<Self>, room: Room) -> RoomRef {
        let room = Arc::new(room);
        let mut index = self.index.lock();
        index.by_id.insert(
            room.id,
            Entry {
                room: Arc::clone(&room),
                refs: 1,
            },
        );
        // Under the lock, so that an older count can't overwrite a newer one.
        self.gauge.set(count(index.by_id.len()));
        RoomRef {
            room,
            manager: Arc::clone(self),
        }
    }

    /// The room can be found by its name from now on.
    fn give_name(&self, room: &Room) {
        let mut index = self.index.lock();
        index.by_name.insert(room.name.clone(), room.id);
    }

    fn release(&self, room: &Arc<Room>) {
        let mut index = self.index.lock();
        let Some(entry) = index.by_id.get_mut(&room.id).filter(|entry| entry.is(room)) else {
            return;
        };
        entry.refs -= 1;
        if entry.refs == 0 {
            // The caller still holds `room`, so it is dropped after the lock is released.
            index.by_id.remove(&room.id);
            if index.by_name.get(&room.name) == Some(&room.id) {
                index.by_name.remove(&room.name);
            }
            self.gauge.set(count(index.by_id.len()));
        }
    }
}

impl Entry {
    /// False for a room of the same id from before a restore.
    fn is(&self, room: &Arc<Room>) -> bool {
        Arc::ptr_eq(&self.room, room)
    }
}

impl Index {
    fn get(&mut self, id: RoomId, manager: &Arc<RoomManager>) -> Option<RoomRef> {
        let entry = self.by_id.get_mut(&id)?;
        entry.refs += 1;
        Some(RoomRef {
            room: Arc::clone(&entry.room),
            manager: Arc::clone(manager),
        })
    }
}

/// A room that stays in memory as long as this handle lives.
pub(crate) struct RoomRef {
    room: Arc<Room>,
    manager: Arc<RoomManager>,
}

impl Deref for RoomRef {
    type Target = Room;

    fn deref(&self) -> &Room {
        &self.room
    }
}

impl Clone for RoomRef {
    fn clone(&self) -> Self {
        let mut index = self.manager.index.lock();
        if let Some(entry) = index
            .by_id
            .get_mut(&self.room.id)
            .filter(|entry| entry.is(&self.room))
        {
            entry.refs += 1;
        }
        drop(index);
        Self {
            room: Arc::clone(&self.room),
            manager: Arc::clone(&self.manager),
        }
    }
}

impl Drop for RoomRef {
    fn drop(&mut self) {
        self.manager.release(&self.room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn manager() -> (Arc<RoomManager>, Arc<dyn Store>, tempfile::TempDir) {
        let data = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", data.path().join("rooms.db").display());
        let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
        (
            RoomManager::new(Arc::clone(&store), Arc::new(ManualClock::at(1_000)), None),
            store,
            data,
        )
    }

    #[tokio::test]
    async fn a_room_is_opened_once_and_dropped_with_its_last_reference() {
        let (rooms, _store, _data) = manager();
        let name = RoomName::new("lobby").unwrap();
        let opened = (0..50).map(|_| {
            let (rooms, name) = (Arc::clone(&rooms), name.clone());
            tokio::spawn(async move { rooms.open(&name, Some("alice")).await.unwrap().unwrap() })
        });
        let mut refs = Vec::new();
        for opening in opened.collect::<Vec<_>>() {
            refs.push(opening.await.unwrap());
        }
        assert_eq!(rooms.len(), 1);
        assert!(refs.iter().all(|room| Arc::ptr_eq(&room.room, &refs[0].room)));
        let last = refs.pop().unwrap();
        let copy = last.clone();
        drop((refs, last));
        assert_eq!(rooms.len(), 1);
        let id = copy.id;
        drop(copy);
        assert_eq!(rooms.len(), 0);
        assert!(rooms.get(id).is_none());
    }

    #[tokio::test]
    async fn several_rooms_are_opened_together() {
        let (rooms, store, _data) = manager();
        for name in ["a", "c"] {
            store.open_room(name, true, 1_000).await.unwrap();
        }
        let names = ["a", "b", "c"].map(|name| RoomName::new(name).unwrap());
        let known = rooms.open(&names[0], None).await.unwrap().unwrap();
        let opened = rooms.open_all(&names.each_ref()).await.unwrap();
        let name = |room: &Option<RoomRef>| room.as_ref().map(|room| room.name.as_str().to_owned());
        let found: Vec<_> = opened.iter().map(name).collect();
        assert_eq!(found, [Some("a".to_owned()), None, Some("c".to_owned())]);
        assert!(Arc::ptr_eq(&opened[0].as_ref().unwrap().room, &known.room));
        assert_eq!(rooms.len(), 2);
    }

    #[tokio::test]
    async fn opening_creates_a_room_only_on_demand() {
        let (rooms, store, _data) = manager();
        let name = RoomName::new("lobby").unwrap();
        assert!(rooms.open(&name, None).await.unwrap().is_none());
        assert_eq!(rooms.len(), 0);
        store.open_room("lobby", true, 1_000).await.unwrap();
        assert!(rooms.open(&name, None).await.unwrap().is_some());
    }
}
