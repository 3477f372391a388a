//! Sending a message, and reading those that were sent.

use std::sync::Arc;

use roomful_store::{History, Page, Range};

use crate::{
    app::{App, Context},
    error::ChatError,
    events::chat::{GetHistory, HistoryPage, SendMessage, Span},
    log::{
        pending::{PendingWrite, WriteContent},
        view::PageView,
    },
    reply::Reply,
    room::Room,
    room_manager::RoomRef,
    types::Draft,
};

/// `chat:send_message`: puts it on its way and returns. The answer comes with the commit.
pub(crate) async fn send(context: &Context, ask: SendMessage, reply: Reply) {
    let Context { app, me, .. } = context;
    let (room, body) = match prepare(context, &ask).await {
        Ok(prepared) => prepared,
        Err(error) => return reply.fail(&error),
    };
    // Who sends a message has stopped typing it.
    app.typing.stop(&me.user, room.id);
    let Ok(place) = Arc::clone(&me.sends).acquire_owned().await else {
        return reply.fail(&ChatError::Internal);
    };
    let SendMessage { client_id, draft, .. } = ask;
    let pending = PendingWrite {
        user: me.user.clone(),
        name: me.name(),
        client_id,
        content: WriteContent::Message(draft),
        body,
        replacement: None,
        reply,
    };
    app.appender.submit(room, pending, place);
}

async fn prepare(context: &Context, ask: &SendMessage) -> Result<(RoomRef, String), ChatError> {
    let room = context.my_room(&ask.room).await?;
    let body = body(&context.app, &room, &ask.draft).await?;
    Ok((room, body))
}

/// The body of a message's entry, if the message may stand in this room.
pub(crate) async fn body(app: &App, room: &Room, draft: &Draft) -> Result<String, ChatError> {
    app.follower
        .reach(room, draft.reply_to.unwrap_or_default())
        .await?;
    if let Some(seq) = draft.reply_to.filter(|seq| *seq > room.head()) {
        let message = format!("chat:send_message: replyTo {seq} must be the seq of a message in this room");
        return Err(ChatError::InvalidRequest(message));
    }
    serde_json::to_string(draft).map_err(|error| {
        tracing::error!(%error, "a message can't be encoded");
        ChatError::Internal
    })
}

/// `chat:get_history`.
pub(crate) async fn history(context: &Context, ask: &GetHistory, reply: Reply) {
    let room = match context.my_room(&ask.room).await {
        Ok(room) => room,
        Err(error) => return reply.fail(&error),
    };
    answer_history(&context.app, &room, ask, reply).await;
}

/// Answers with a page of a room that may be read.
pub(crate) async fn answer_history(app: &App, room: &Room, ask: &GetHistory, reply: Reply) {
    match read(app, room, ask).await {
        Ok(history) => {
            let PageView { messages, changes } = PageView::of(room, &history);
            reply.succeed(&HistoryPage {
                room: &room.name,
                epoch: &room.epoch,
                messages,
                changes,
                more: history.more,
            });
        }
        Err(error) => reply.fail(&error),
    }
}

async fn read(app: &App, room: &Room, ask: &GetHistory) -> Result<History, ChatError> {
    // Nothing beyond what was delivered: a message is not to be seen in history before its event.
    let upto = room.head();
    let range = match ask.span {
        Span::Latest => Range::Last { upto },
        Span::Before(seq) => Range::Before(seq.min(upto.saturating_add(1))),
        Span::After(seq) => Range::After {
            seq: seq.min(upto),
            upto,
        },
    };
    page(app, room, range, ask.limit).await
}

/// A page of a room's log.
pub(crate) async fn page(app: &App, room: &Room, range: Range, limit: u32) -> Result<History, ChatError> {
    // A limit of 0 asks for no messages, yet what is said about the log must hold: so one is read and dropped.
    let page = Page {
        range,
        limit: limit.max(1),
    };
    let mut history = app
        .store
        .history(room.id, page)
        .await?
        .ok_or(ChatError::Forbidden)?;
    if limit == 0 {
        history.more |= !history.entries.is_empty();
        history.entries.clear();
    }
    Ok(history)
}
