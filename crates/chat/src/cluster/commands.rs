//! Having all nodes do something: writing it into the order, and telling them.

use std::sync::Arc;

use roomful_store::{AppendResult, Appended, EntryKind, NewEntry, RoomChange, RoomId, RoomKind};

use super::{
    Cluster, Control, Told,
    control::{CONTROL_ROOM, KEPT},
};
use crate::{error::ChatError, servers::chat::Chat};

impl Cluster {
    /// Has all nodes do something. Returns once that is certain.
    ///
    /// # Errors
    /// `unavailable`, `internal`: it is not certain.
    pub(crate) async fn command(&self, control: &Control) -> Result<(), ChatError> {
        let chat = self.chat_or_leaving()?;
        let entry = self.written(&chat, control).await?;
        let placed = chat.store.append_with_positions(vec![entry.clone()]).await?;
        if self.tell_command(&chat, entry, placed) {
            return Ok(());
        }
        tracing::error!("what all nodes must do was not written");
        Err(ChatError::Internal)
    }

    /// Removes a room from the store, and with that has all nodes let go of it: one is not done without the other. False if
    /// there is no such room any more.
    ///
    /// # Errors
    /// `unavailable`, `internal`: it is not certain. If it was done, all nodes do their part all the same, this one too.
    pub(crate) async fn remove_room(&self, room: RoomId) -> Result<bool, ChatError> {
        let chat = self.chat_or_leaving()?;
        let entry = self.written(&chat, &Control::RoomDeleted { room }).await?;
        let placed = chat.store.delete_room_with(room, entry.clone()).await?;
        Ok(self.tell_command(&chat, entry, placed))
    }

    fn chat_or_leaving(&self) -> Result<Arc<Chat>, ChatError> {
        self.chat()
            .ok_or(ChatError::Unavailable("the server is going down"))
    }

    /// A command as an entry of the cluster's own room.
    async fn written(&self, chat: &Chat, control: &Control) -> Result<NewEntry, ChatError> {
        let body = serde_json::to_string(control).map_err(|error| {
            tracing::error!(%error, "what all nodes must do can't be encoded");
            ChatError::Internal
        })?;
        Ok(NewEntry {
            room: self.control_room(chat).await?,
            kind: EntryKind::Control,
            target: None,
            user_id: self.standing.member().to_string(),
            user_name: None,
            client_id: None,
            body,
            mentions: Vec::new(),
            at: chat.clock.now_ms(),
        })
    }

    /// The other nodes are told of a command, if it was committed, and this one comes to it, too.
    fn tell_command(&self, chat: &Chat, entry: NewEntry, placed: AppendResult) -> bool {
        let AppendResult {
            results,
            first_position,
        } = placed;
        let [Ok(Appended::New { seq, at })] = *results else {
            return false;
        };
        let told = Told {
            room: entry.room,
            name: CONTROL_ROOM,
            seq,
            at,
            entry,
        };
        self.note_own(first_position, std::slice::from_ref(&told));
        self.awake();
        if chat.pipeline.is_superseded() {
            self.ask_store();
        } else {
            self.tell_committed(&chat.order.epoch(), first_position, &[told]);
        }
        true
    }

    /// The room in which controls stand. Nobody can join it, since it is private and its name is none.
    pub(super) async fn control_room(&self, chat: &Chat) -> Result<RoomId, ChatError> {
        if let Some(room) = *self.control_room.lock() {
            return Ok(room);
        }
        let change = RoomChange {
            kind: Some(RoomKind::Private),
            history: Some(Some(KEPT)),
        };
        let (room, _) = chat
            .store
            .put_room(CONTROL_ROOM, change, chat.clock.now_ms())
            .await?;
        let heard = self.hear_room(room.id);
        self.heard_by_all.lock().push(heard);
        *self.control_room.lock() = Some(room.id);
        Ok(room.id)
    }

    /// Whether controls stand in this room. While it is not known which one that is, any room may be it.
    pub(crate) fn is_own_room(&self, room: RoomId) -> bool {
        self.control_room.lock().is_none_or(|own| own == room)
    }

    /// The log began anew, and the room may be another one.
    pub(super) fn forget_control_room(&self) {
        *self.control_room.lock() = None;
        self.heard_by_all.lock().truncate(1);
    }
}
