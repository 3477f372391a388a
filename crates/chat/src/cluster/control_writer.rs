//! Having all nodes do something: writing it into the order, and telling them.

use std::sync::Arc;

use roomful_store::{AppendResult, Appended, EntryKind, NewEntry, RoomChange, RoomId, RoomKind};

use super::{Cluster, CommittedEntry};
use crate::{
    app::App,
    error::ChatError,
    log::control::{CONTROL_ROOM, Control, KEPT},
};

impl Cluster {
    /// Has all nodes do something. Returns once that is certain.
    ///
    /// # Errors
    /// `unavailable`, `internal`: it is not certain.
    pub(crate) async fn command(&self, control: &Control) -> Result<(), ChatError> {
        let app = self.chat_or_leaving()?;
        let entry = self.written(&app, control).await?;
        let placed = app.store.append_with_positions(vec![entry.clone()]).await?;
        if self.tell_command(&app, entry, placed) {
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
        let app = self.chat_or_leaving()?;
        let entry = self.written(&app, &Control::RoomDeleted { room }).await?;
        let placed = app.store.delete_room_with(room, entry.clone()).await?;
        Ok(self.tell_command(&app, entry, placed))
    }

    fn chat_or_leaving(&self) -> Result<Arc<App>, ChatError> {
        self.app()
            .ok_or(ChatError::Unavailable("the server is going down"))
    }

    /// A command as an entry of the cluster's own room.
    async fn written(&self, app: &App, control: &Control) -> Result<NewEntry, ChatError> {
        let body = serde_json::to_string(control).map_err(|error| {
            tracing::error!(%error, "what all nodes must do can't be encoded");
            ChatError::Internal
        })?;
        Ok(NewEntry {
            room: self.control_room(app).await?,
            kind: EntryKind::Control,
            target: None,
            user_id: self.standing.member().to_string(),
            user_name: None,
            client_id: None,
            body,
            mentions: Vec::new(),
            at: app.clock.now_ms(),
        })
    }

    /// The other nodes are told of a command, if it was committed, and this one comes to it, too.
    fn tell_command(&self, app: &App, entry: NewEntry, placed: AppendResult) -> bool {
        let AppendResult {
            results,
            first_position: pos,
        } = placed;
        let [Ok(Appended::New { seq, at })] = *results else {
            return false;
        };
        let told = CommittedEntry {
            room: entry.room,
            name: CONTROL_ROOM,
            seq,
            at,
            entry,
        };
        self.note_own(pos, std::slice::from_ref(&told));
        self.awake();
        if app.pipeline.is_superseded() {
            self.ask_store();
        } else {
            self.tell_committed(&app.log.epoch(), pos, &[told]);
        }
        true
    }

    /// The room in which controls stand. Nobody can join it, since it is private and its name is none.
    pub(super) async fn control_room(&self, app: &App) -> Result<RoomId, ChatError> {
        if let Some(room) = *self.control_room.lock() {
            return Ok(room);
        }
        let change = RoomChange {
            kind: Some(RoomKind::Private),
            history: Some(Some(KEPT)),
        };
        let (room, _) = app
            .store
            .put_room(CONTROL_ROOM, change, app.clock.now_ms())
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
