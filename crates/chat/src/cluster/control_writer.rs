//! Control entries: commands to all nodes, written into the log and announced like any other commit.

use roomful_store::{AppendResult, Erasure, ModerationAct, NewEntry, RoomId};

use super::{Cluster, CommittedEntry};
use crate::{
    error::ChatError,
    log::control::{self, Control},
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
        let result = self.store.append_with_positions(vec![entry.clone()]).await?;
        if self.announce(entry, &result) {
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
        let result = self.store.delete_room_with(room, entry.clone()).await?;
        Ok(self.announce(entry, &result))
    }

    /// Carries out a moderation act in the store, and commands all nodes to take note of it, in one
    /// transaction. False if the act's room does not exist.
    ///
    /// # Errors
    /// `unavailable`, `internal`: it is unknown whether the act was carried out.
    pub(crate) async fn moderate(&self, act: ModerationAct, control: &Control) -> Result<bool, ChatError> {
        let entry = self.control_entry(control).await?;
        let result = self.store.moderate(act, entry.clone()).await?;
        Ok(self.announce(entry, &result))
    }

    /// Like [`Self::command`], for a command about a user whom this node erases.
    ///
    /// # Errors
    /// `unavailable` also if the run has lost its claim on the erasure: no node carries the command out.
    pub(crate) async fn command_in_erasure(
        &self,
        erasure: &Erasure,
        control: &Control,
    ) -> Result<(), ChatError> {
        let entry = self.control_entry(control).await?;
        let result = self.store.append_in_erasure(erasure, entry.clone()).await?;
        self.announce(entry, &result);
        Ok(())
    }

    async fn control_entry(&self, control: &Control) -> Result<NewEntry, ChatError> {
        let room = self.open_control_room().await?;
        control::entry(control, room, &self.lease.incarnation(), self.clock.now_ms())
    }

    /// Announces a control entry to all nodes. False if it was not committed.
    fn announce(&self, entry: NewEntry, result: &AppendResult) -> bool {
        let Some(committed) = CommittedEntry::control(entry, result) else {
            return false;
        };
        let epoch = self.store.log_head().epoch;
        if *epoch != *self.cursor.epoch() {
            // The log was restored just now.
            self.inbox.poll_now();
            return true;
        }
        let first_position = result.first_position;
        self.inbox
            .push_entries(&epoch, [committed.log_entry(first_position)]);
        self.publish_commit(&epoch, first_position, &[committed]);
        true
    }

    /// The control room, which is created if need be. This node subscribes to it.
    pub(super) async fn open_control_room(&self) -> Result<RoomId, ChatError> {
        if let Some(room) = self.control_room.get() {
            return Ok(room);
        }
        let room = self.control_room.open(&*self.store, self.clock.now_ms()).await?;
        *self.control_topic.lock() = Some(self.subscribe_room(room));
        Ok(room)
    }
}
