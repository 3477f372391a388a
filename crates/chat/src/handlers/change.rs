//! Handlers for edits, deletions and reactions.

use std::sync::Arc;

use roomful_store::{AuditRecord, Entry, EntryKind, Recorded};
use serde_json::json;

use crate::{
    app::{Context, Sender},
    audit,
    error::ChatError,
    events::log::{ChangeMessage, DELETE_MESSAGE, EDIT_MESSAGE},
    log::{
        pending::{PendingWrite, WriteContent, change_body},
        view::NO_MESSAGE,
    },
    reply::Reply,
    room::Room,
    room_manager::RoomRef,
    standing::is_moderator,
    types::{Change, Draft},
};

/// `chat:edit_message`, `chat:delete_message`, `chat:react`: queues the mutation behind the room's earlier
/// sends. The reply follows its commit.
pub(crate) async fn change(context: &Context, mut ask: ChangeMessage, reply: Reply) {
    let Context { app, me, .. } = context;
    let prepared = match prepare(context, &mut ask).await {
        Ok(prepared) => prepared,
        Err(error) => return reply.fail(&error),
    };
    let reply = match prepared.audited {
        Some(record) => {
            let app = Arc::clone(app);
            reply.on_success(move || drop(tokio::spawn(async move { audit::record(&app, record).await })))
        }
        None => reply,
    };
    let Ok(place) = Arc::clone(&me.sends).acquire_owned().await else {
        return reply.fail(&ChatError::Internal);
    };
    let pending = PendingWrite {
        user: me.user.clone(),
        name: me.name(),
        avatar: None,
        client_id: ask.client_id,
        content: WriteContent::Change(ask.seq, ask.change),
        body: prepared.body,
        replacement: prepared.replacement,
        charged: true,
        exempt: me.is_moderator(),
        as_member: true,
        reply,
    };
    match prepared.stored {
        Some(stored) => pending.answer_retry(&prepared.room, stored),
        None => app.appender.submit(prepared.room, pending, place),
    }
}

/// A change that the user may make.
struct Prepared {
    room: RoomRef,
    /// The body of the entry.
    body: String,
    /// The new body of an edited message.
    replacement: Option<String>,
    /// The entry, if the change is stored already.
    stored: Option<Recorded>,
    /// The record of a moderator's change.
    audited: Option<AuditRecord>,
}

/// Checks the change. Asks the hooks about an edit and applies the content rules to it; both may change its
/// text.
async fn prepare(context: &Context, ask: &mut ChangeMessage) -> Result<Prepared, ChatError> {
    let room = context.my_room(&ask.room).await?;
    let (mut replacement, mut stored, mut audited) = (None, None, None);
    let target = (ask.seq, ask.client_id.is_some());
    match &mut ask.change {
        Change::Edit { text } => {
            let why = "only its author or a moderator may edit a message";
            let message = changeable(context, &room, target, why).await?;
            audited = message
                .as_ref()
                .and_then(|message| record(context, &room, message, EDIT_MESSAGE));
            let sender = Sender {
                user: &context.me.user,
                client_id: ask.client_id.as_deref(),
                exempt: context.me.is_moderator(),
            };
            let edit = (ask.seq, &mut *text);
            stored = context.app.ask_about_edit(&room, sender, edit).await?;
            context.check_after_hooks(&room).await?;
            if stored.is_none() {
                let kind = (EntryKind::Edit, Some(ask.seq));
                stored = context.app.apply_rules(&room, sender, kind, text).await?;
            }
            if !context.app.config.keep_edits {
                // The message may have changed while a hook decided: an erasure removes mentions.
                let message = if context.app.asks_about_messages(&room) {
                    context.app.store.entry(room.id, ask.seq).await?
                } else {
                    message
                };
                replacement = message.and_then(|message| edited_body(&message, text));
            }
        }
        Change::Delete => {
            let why = "only its author or a moderator may delete a message";
            let message = changeable(context, &room, target, why).await?;
            audited = message.and_then(|message| record(context, &room, &message, DELETE_MESSAGE));
        }
        // Every member may react. The store checks that the message exists.
        Change::Reaction { .. } => {}
    }
    let body = change_body(&ask.change).map_err(|error| {
        tracing::error!(%error, "failed to encode a mutation");
        ChatError::Internal
    })?;
    Ok(Prepared {
        room,
        body,
        replacement,
        stored,
        audited,
    })
}

/// The record of an edit or deletion by a moderator. It does not repeat texts.
fn record(context: &Context, room: &Room, message: &Entry, action: &str) -> Option<AuditRecord> {
    let me = &context.me.user;
    (message.user_id != **me).then(|| AuditRecord {
        actor: me.to_string(),
        action: action.to_owned(),
        room: Some(room.name.to_string()),
        user_id: Some(message.user_id.clone()),
        status: 200,
        after: Some(json!({ "seq": message.seq }).to_string()),
        ..AuditRecord::default()
    })
}

/// The body of a message after an edit. `None` for a deleted message, which only a retry can name.
fn edited_body(message: &Entry, text: &str) -> Option<String> {
    let mut draft: Draft = serde_json::from_str(&message.body).ok()?;
    text.clone_into(&mut draft.text);
    serde_json::to_string(&draft).ok()
}

/// Returns the message if the user is its author or a moderator. The author never changes, so the result
/// still holds at commit. Returns `None` if only a retry can name the message, since retention has removed
/// it: the store recognises the retry, and rejects all else. `may_be_retry` is true for a change with a
/// client id. `why` is the refusal for other users.
async fn changeable(
    context: &Context,
    room: &Room,
    (seq, may_be_retry): (u64, bool),
    why: &'static str,
) -> Result<Option<Entry>, ChatError> {
    let Some(message) = context.app.store.entry(room.id, seq).await? else {
        // Beyond the head, a message of another user may appear until the commit.
        let removed = seq <= room.head();
        return (removed && may_be_retry).then_some(None).ok_or(NO_MESSAGE);
    };
    if message.kind != EntryKind::Message {
        return Err(NO_MESSAGE);
    }
    if message.state.deleted && !may_be_retry {
        return Err(NO_MESSAGE);
    }
    // A retry may name a message that its first attempt deleted. The store recognises the retry.
    let Context { app, me, .. } = context;
    if message.user_id == *me.user || is_moderator(app, me, room.id).await? {
        return Ok(Some(message));
    }
    Err(ChatError::NotYours(why))
}
