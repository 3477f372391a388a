//! Control entries: commands to all nodes, written into the log and announced like any other commit.

use roomful_store::{AppendResult, Appended, EntryKind, NewEntry, RoomChange, RoomId, RoomKind};

use super::{Cluster, CommittedEntry};
use crate::{
    error::ChatError,
    log::control::{CONTROL_ROOM, Control, KEPT},
    room_manager::RoomTopics,
    types::RoomName,
};

impl Cluster {
    /// Has all nodes carry out a command, this one too. Returns once it is committed.
    ///
    /// # Errors
    /// `unavailable`, `internal`: it is unknown whether they will.
    pub(crate) async fn command(&self, control: &Control) -> Result<(), ChatError> {
        let entry = self.control_entry(control).await?;
        let placed = self.store.append_with_positions(vec![entry.clone()]).await?;
        if self.announce(entry, placed) {
            return Ok(());
        }
        tracing::error!("the store rejected a control entry");
        Err(ChatError::Internal)
    }

    /// Removes a room from the store and commands all nodes to drop it, in one transaction. False if the room
    /// does not exist any more.
    ///
    /// # Errors
    /// `unavailable`, `internal`: it is unknown whether the room was removed. If it was, all nodes drop it.
    pub(crate) async fn remove_room(&self, room: RoomId, name: &RoomName) -> Result<bool, ChatError> {
        let name = name.to_string();
        let entry = self.control_entry(&Control::RoomDeleted { room, name }).await?;
        let placed = self.store.delete_room_with(room, entry.clone()).await?;
        Ok(self.announce(entry, placed))
    }

    async fn control_entry(&self, control: &Control) -> Result<NewEntry, ChatError> {
        let body = serde_json::to_string(control).map_err(|error| {
            tracing::error!(%error, "failed to encode a control entry");
            ChatError::Internal
        })?;
        Ok(NewEntry {
            room: self.open_control_room().await?,
            kind: EntryKind::Control,
            target: None,
            user_id: self.lease.incarnation().to_string(),
            user_name: None,
            client_id: None,
            body,
            mentions: Vec::new(),
            at: self.clock.now_ms(),
            replacement: None,
            charged: false,
        })
    }

    /// Announces a control entry to all nodes. False if it was not committed.
    fn announce(&self, entry: NewEntry, placed: AppendResult) -> bool {
        let AppendResult {
            results,
            first_position,
        } = placed;
        let [Ok(Appended::New { seq, at })] = *results else {
            return false;
        };
        let epoch = self.store.log_head().epoch;
        if *epoch != *self.cursor.epoch() {
            // The log was restored just now.
            self.inbox.poll_now();
            return true;
        }
        let committed = CommittedEntry {
            room: entry.room,
            name: CONTROL_ROOM,
            seq,
            at,
            entry,
        };
        self.inbox
            .push_entries(&epoch, [committed.placed(first_position)]);
        self.publish_commit(&epoch, first_position, &[committed]);
        true
    }

    /// The control room, which is created if need be. No client can join it: it is private, and its name is
    /// not valid.
    pub(super) async fn open_control_room(&self) -> Result<RoomId, ChatError> {
        if let Some(room) = self.control_room.get() {
            return Ok(room);
        }
        let change = RoomChange {
            kind: Some(RoomKind::Private),
            history: Some(Some(KEPT)),
        };
        let now = self.clock.now_ms();
        let (room, _) = self.store.put_room(CONTROL_ROOM, change, now).await?;
        *self.control_topic.lock() = Some(self.subscribe_room(room.id));
        self.control_room.set(room.id);
        Ok(room.id)
    }
}
