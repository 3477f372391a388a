//! Editing and deleting messages, and reacting to them.

use std::sync::Arc;

use roomful_store::{Entry, EntryKind, Role};

use crate::{
    app::Context,
    error::ChatError,
    events::log::ChangeMessage,
    log::{
        pending::{PendingWrite, WriteContent, change_body},
        view::NO_MESSAGE,
    },
    reply::Reply,
    room::Room,
    room_manager::RoomRef,
    types::{Change, Draft},
};

/// `chat:edit_message`, `chat:delete_message`, `chat:react`: puts the change on its way, behind what the room has
/// queued. The answer comes with the commit.
pub(crate) async fn change(context: &Context, ask: ChangeMessage, reply: Reply) {
    let Context { app, me, .. } = context;
    let (room, body, replacement) = match prepare(context, &ask).await {
        Ok(prepared) => prepared,
        Err(error) => return reply.fail(&error),
    };
    let Ok(place) = Arc::clone(&me.sends).acquire_owned().await else {
        return reply.fail(&ChatError::Internal);
    };
    let pending = PendingWrite {
        user: me.user.clone(),
        name: me.name(),
        client_id: ask.client_id,
        content: WriteContent::Change(ask.seq, ask.change),
        body,
        replacement,
        reply,
    };
    app.appender.submit(room, pending, place);
}

/// Checks the change. Returns the room, the body of the entry, and the new body of an edited message.
async fn prepare(
    context: &Context,
    ask: &ChangeMessage,
) -> Result<(RoomRef, String, Option<String>), ChatError> {
    let room = context.my_room(&ask.room).await?;
    let mut replacement = None;
    match &ask.change {
        Change::Edit { text } => {
            let why = "only its author may edit a message";
            let message = author_of(context, &room, ask, NotAuthor::Refused(why)).await?;
            if !context.app.config.keep_edits {
                replacement = edited_body(&message, text);
            }
        }
        Change::Delete => drop(author_of(context, &room, ask, NotAuthor::Moderator).await?),
        // Everybody who reads it may react. Whether it is there is for the store to say.
        Change::Reaction { .. } => {}
    }
    let body = change_body(&ask.change).map_err(|error| {
        tracing::error!(%error, "a change can't be encoded");
        ChatError::Internal
    })?;
    Ok((room, body, replacement))
}

/// The body of a message after an edit. `None` for a deleted message, which only a retry can name.
fn edited_body(message: &Entry, text: &str) -> Option<String> {
    let mut draft: Draft = serde_json::from_str(&message.body).ok()?;
    text.clone_into(&mut draft.text);
    serde_json::to_string(&draft).ok()
}

/// What is asked of who is not the author.
enum NotAuthor {
    /// To be a moderator.
    Moderator,
    /// Nothing helps.
    Refused(&'static str),
}

/// Whether the user may change the message. Its author never changes, so the answer is still good at the commit.
async fn author_of(
    context: &Context,
    room: &Room,
    ask: &ChangeMessage,
    otherwise: NotAuthor,
) -> Result<Entry, ChatError> {
    let entry = context.app.store.entry(room.id, ask.seq).await?;
    let message = entry
        .filter(|entry| entry.kind == EntryKind::Message)
        .ok_or(NO_MESSAGE)?;
    if message.state.deleted && ask.client_id.is_none() {
        return Err(NO_MESSAGE);
    }
    // A deleted message may still be asked for by a retry of what once changed it: the store knows.
    if message.user_id == *context.me.user {
        return Ok(message);
    }
    match otherwise {
        NotAuthor::Refused(why) => Err(ChatError::NotYours(why)),
        NotAuthor::Moderator if is_moderator(context, room).await? => Ok(message),
        NotAuthor::Moderator => Err(ChatError::NotYours(
            "only its author or a moderator may delete a message",
        )),
    }
}

async fn is_moderator(context: &Context, room: &Room) -> Result<bool, ChatError> {
    let Context { app, me, .. } = context;
    if me.is_moderator() {
        return Ok(true);
    }
    let member = app.store.member(room.id, &me.user).await?;
    Ok(member.is_some_and(|member| member.role == Role::Moderator))
}
