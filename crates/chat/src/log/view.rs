//! Log entries as clients see them: live events, and the messages of pages.

use std::{borrow::Cow, sync::Arc};

use roomful_socket::{Class, EmitError, Namespace, Prepared};
use roomful_store::{Entry, EntryKind, RoomRow};
use serde::Serialize;

use crate::{
    error::ChatError,
    events::{
        chat::{RECEIVE_MESSAGE, message_id},
        log::{ChangeKind, ChangeView, EditBody, LiveChange, MessageView, ReactionsView},
    },
    room::{Frame, Room},
    types::{Draft, RoomName},
};

/// The answer to a request that names a message which does not exist.
pub(crate) const NO_MESSAGE: ChatError =
    ChatError::NotFound("there is no such message; it may have been deleted, or removed for its age");

/// An entry as clients see it.
pub(crate) enum Event<'a> {
    Message(MessageView<'a>),
    Change(ChangeKind, ChangeView<'a>),
}

/// The newest message of a room, with the picture of its author; `None`, with an error in the log, if its
/// body is malformed.
pub(crate) fn last_message<'a>(
    name: &'a RoomName,
    room: &'a RoomRow,
    entry: Option<&'a Entry>,
    avatar: impl FnOnce(&str) -> Option<Arc<str>>,
) -> Option<MessageView<'a>> {
    let entry = entry?;
    message(name, &room.epoch, entry, avatar(&entry.user_id))
        .inspect_err(|error| {
            tracing::error!(room = room.id, seq = entry.seq, %error, "failed to decode a stored entry");
        })
        .ok()
}

impl<'a> Event<'a> {
    /// The event of an entry whose author has the picture `avatar`; `None`, with an error in the log, if its
    /// body is malformed.
    pub(crate) fn of(room: &'a Room, entry: &'a Entry, avatar: Option<Arc<str>>) -> Option<Self> {
        let read = match entry.kind {
            EntryKind::Message => message(&room.name, &room.epoch, entry, avatar).map(Self::Message),
            // No client can join the control room.
            EntryKind::Control => return None,
            kind => change(kind, entry),
        };
        read.inspect_err(
            |error| tracing::error!(room = room.id, seq = entry.seq, %error, "failed to decode an entry"),
        )
        .ok()
    }

    /// The event, encoded with the offset of its entry; `None`, with an error in the log, if that fails.
    pub(crate) fn frame(self, room: &Room, namespace: &Namespace, offset: Option<&str>) -> Option<Frame> {
        let frame = match self {
            Self::Message(message) => prepare(namespace, RECEIVE_MESSAGE, &message, offset).map(durable),
            Self::Change(ChangeKind::Reaction, change) => reaction(room, namespace, change, offset),
            Self::Change(kind, change) => {
                let room = &room.name;
                prepare(namespace, kind.event(), &LiveChange { room, change }, offset).map(durable)
            }
        };
        frame
            .inspect_err(
                |error| tracing::error!(room = room.id, %error, "failed to encode the event of an entry"),
            )
            .ok()
    }
}

fn durable(event: Prepared) -> Frame {
    Frame::new(event, Class::Durable)
}

/// Encodes a reaction twice: its author gets `mine: true`, and everybody else `mine: false`.
fn reaction(
    room: &Room,
    namespace: &Namespace,
    change: ChangeView<'_>,
    offset: Option<&str>,
) -> Result<Frame, EmitError> {
    let author = change.user_id.into();
    let mut reaction = LiveChange {
        room: &room.name,
        change,
    };
    let mut encode = |mine| -> Result<Frame, EmitError> {
        reaction.change.mine = Some(mine);
        let event = prepare(namespace, ChangeKind::Reaction.event(), &reaction, offset)?;
        Ok(durable(event))
    };
    let for_author = encode(true)?;
    Ok(encode(false)?.with_author(author, for_author))
}

/// Encodes an event, with the offset from which a client that has seen it may resume.
pub(crate) fn prepare<T: Serialize>(
    namespace: &Namespace,
    event: &str,
    data: &T,
    offset: Option<&str>,
) -> Result<Prepared, EmitError> {
    match offset {
        Some(offset) => namespace.prepare_at(event, data, offset),
        None => namespace.prepare(event, data),
    }
}

/// A message in its present state, with its edits and reactions.
pub(crate) fn message<'a>(
    room: &'a RoomName,
    epoch: &str,
    entry: &'a Entry,
    avatar: Option<Arc<str>>,
) -> serde_json::Result<MessageView<'a>> {
    let state = &entry.state;
    let mut draft = if state.deleted {
        Draft::default()
    } else {
        serde_json::from_str(&entry.body)?
    };
    if let Some(edit) = &state.edit {
        draft.text = serde_json::from_str::<EditBody<'_>>(&edit.body)?
            .text
            .into_owned();
    }
    let reactions = state.reactions.iter().map(|reactions| ReactionsView {
        emoji: &reactions.emoji,
        user_ids: &reactions.user_ids,
        count: reactions.count,
        mine: None,
    });
    Ok(MessageView {
        id: message_id(epoch, entry.seq),
        room,
        seq: entry.seq,
        user_id: &entry.user_id,
        name: entry.user_name.as_deref(),
        avatar,
        at: entry.at,
        client_id: entry.client_id.as_deref(),
        draft: Cow::Owned(draft),
        edited_at: state.edit.as_ref().map(|edit| edit.at),
        deleted: state.deleted,
        reactions: reactions.collect(),
    })
}

fn change(kind: EntryKind, entry: &Entry) -> serde_json::Result<Event<'_>> {
    let bare = bare_change(
        (entry.target.unwrap_or_default(), entry.seq),
        &entry.user_id,
        entry.client_id.as_deref(),
        entry.at,
    );
    let (kind, change) = match kind {
        // A deleted message takes the text of its edits along.
        EntryKind::Edit if entry.body.is_empty() => {
            let text = Some(Cow::Borrowed(""));
            (ChangeKind::Edited, ChangeView { text, ..bare })
        }
        EntryKind::Edit => {
            let text = Some(serde_json::from_str::<EditBody<'_>>(&entry.body)?.text);
            (ChangeKind::Edited, ChangeView { text, ..bare })
        }
        EntryKind::Reaction { removed } => {
            let (emoji, removed) = (Some(entry.body.as_str()), Some(removed));
            (
                ChangeKind::Reaction,
                ChangeView {
                    emoji,
                    removed,
                    ..bare
                },
            )
        }
        EntryKind::Delete | EntryKind::Message | EntryKind::Control => (ChangeKind::Deleted, bare),
    };
    Ok(Event::Change(kind, change))
}

/// The fields that all changes have.
pub(super) fn bare_change<'a>(
    (seq, log_seq): (u64, u64),
    user_id: &'a str,
    client_id: Option<&'a str>,
    at: i64,
) -> ChangeView<'a> {
    ChangeView {
        seq,
        log_seq,
        user_id,
        at,
        text: None,
        emoji: None,
        removed: None,
        client_id,
        mine: None,
    }
}
