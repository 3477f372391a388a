//! Handlers for sending messages and reading history.

use std::sync::Arc;

use roomful_store::{EntryKind, History, Range, Recorded};

use crate::{
    app::{App, Context, Sender},
    error::ChatError,
    events::{
        chat::{GetHistory, HistoryPage, SendMessage, Span},
        log::PageBounds,
    },
    log::{
        page_view::{PageContext, PageView},
        pending::{PendingWrite, WriteContent},
    },
    middleware::price,
    reply::Reply,
    room::Room,
    room_manager::RoomRef,
    types::{Draft, UserId},
};

/// `chat:send_message`: queues the message and returns. The reply follows its commit.
pub(crate) async fn send(context: &Context, mut ask: SendMessage, reply: Reply) {
    let Context { app, me, .. } = context;
    let (room, admitted) = match prepare(context, &mut ask).await {
        Ok(prepared) => prepared,
        Err(error) => return reply.fail(&error),
    };
    // Sending ends typing.
    app.typing.stop(&me.user, room.id);
    let Ok(place) = Arc::clone(&me.sends).acquire_owned().await else {
        return reply.fail(&ChatError::Internal);
    };
    let SendMessage { client_id, draft, .. } = ask;
    let pending = PendingWrite {
        user: me.user.clone(),
        name: me.name(),
        avatar: me.avatar(),
        client_id,
        content: WriteContent::Message(draft),
        body: admitted.body,
        replacement: None,
        charged: true,
        exempt: me.is_moderator(),
        as_member: true,
        reply,
    };
    match admitted.stored {
        Some(stored) => pending.answer_retry(&room, stored),
        None => app.appender.submit(room, pending, place),
    }
}

async fn prepare(context: &Context, ask: &mut SendMessage) -> Result<(RoomRef, Admitted), ChatError> {
    let Context { app, me, .. } = context;
    let room = context.my_room(&ask.room).await?;
    let SendMessage { client_id, draft, .. } = ask;
    let sender = Sender {
        user: &me.user,
        client_id: client_id.as_deref(),
        exempt: me.is_moderator(),
    };
    let admitted = admit(app, &room, sender, draft).await?;
    context.check_after_hooks(&room).await?;
    Ok((room, admitted))
}

/// A message that may be stored.
pub(crate) struct Admitted {
    /// The body of its entry.
    pub(crate) body: String,
    /// The entry, if the message is stored already.
    pub(crate) stored: Option<Recorded>,
}

/// Checks the draft against the room, asks the hooks about it, and applies the content rules to its text.
/// Hooks and rules may change it.
pub(crate) async fn admit(
    app: &App,
    room: &Room,
    sender: Sender<'_>,
    draft: &mut Draft,
) -> Result<Admitted, ChatError> {
    check_reply(app, room, draft).await?;
    let mut stored = app.ask_about_message(room, sender, draft).await?;
    if stored.is_none() {
        let kind = (EntryKind::Message, None);
        stored = app.apply_rules(room, sender, kind, &mut draft.text).await?;
    }
    let body = serde_json::to_string(draft).map_err(|error| {
        tracing::error!(%error, "failed to encode a message");
        ChatError::Internal
    })?;
    Ok(Admitted { body, stored })
}

async fn check_reply(app: &App, room: &Room, draft: &Draft) -> Result<(), ChatError> {
    app.follower
        .catch_up_to(room, draft.reply_to.unwrap_or_default())
        .await?;
    if let Some(seq) = draft.reply_to.filter(|seq| *seq > room.head()) {
        let message = format!("replyTo {seq} must be the seq of a message in this room");
        return Err(ChatError::InvalidRequest(message));
    }
    Ok(())
}

/// `chat:get_history`.
pub(crate) async fn history(context: &Context, ask: &GetHistory, reply: Reply) {
    let room = match context.my_room(&ask.room).await {
        Ok(room) => room,
        Err(error) => return reply.fail(&error),
    };
    let bytes = answer_history(&context.app, &room, ask, Some(&context.me.user), reply).await;
    context.me.add_debt(price::of_answer(bytes));
}

/// Replies with a page of the room and returns its size in bytes. `reader` is `None` for the backend. The
/// caller has checked access.
pub(crate) async fn answer_history(
    app: &App,
    room: &Room,
    ask: &GetHistory,
    reader: Option<&UserId>,
    reply: Reply,
) -> usize {
    match read(app, room, ask, reader).await {
        Ok((Page { history, bounds }, context)) => {
            let PageView { messages, changes } = PageView::of(room, &history, &context);
            reply.succeed(&HistoryPage {
                room: &room.name,
                epoch: &room.epoch,
                messages,
                changes,
                bounds,
            });
            price::page_bytes(&history) + context.bytes(&history)
        }
        Err(error) => {
            reply.fail(&error);
            0
        }
    }
}

async fn read(
    app: &App,
    room: &Room,
    ask: &GetHistory,
    reader: Option<&UserId>,
) -> Result<(Page, PageContext), ChatError> {
    // Nothing above the delivered head: history must not overtake the live event.
    let upto = room.head();
    let range = match ask.span {
        Span::Latest => Range::Last { upto },
        Span::Before(seq) => Range::Before(seq.min(upto.saturating_add(1))),
        Span::After(seq) => Range::After {
            seq: seq.min(upto),
            upto,
        },
    };
    let page = page(app, room, range, ask.limit).await?;
    let context = PageContext::read(app, reader, [(room.id, &page.history)].into_iter()).await?;
    Ok((page, context))
}

/// A page of a room's log, and where it ends there.
pub(crate) struct Page {
    pub(crate) history: History,
    pub(crate) bounds: PageBounds,
}

/// Reads a page of a room's log.
async fn page(app: &App, room: &Room, range: Range, limit: u32) -> Result<Page, ChatError> {
    // With a limit of 0 the reply still describes the log, so read one entry and drop it.
    let page = roomful_store::Page {
        range,
        limit: limit.max(1),
    };
    let history = app.store.history(room.id, page).await?;
    let mut history = history.ok_or(ChatError::Forbidden)?;
    if limit == 0 {
        history.empty();
    }
    Ok(Page::of(room, range, history))
}

impl Page {
    pub(crate) fn of(room: &Room, range: Range, history: History) -> Self {
        let bounds = bounds(range, &history, room.head());
        Self { history, bounds }
    }
}

fn bounds(range: Range, history: &History, head: u64) -> PageBounds {
    let (more, first) = (history.more, history.first);
    let last = history.entries.last().map(|entry| entry.seq);
    match range {
        Range::Last { upto } => PageBounds {
            more,
            more_before: more,
            more_after: false,
            up_to: upto,
        },
        Range::Before(seq) => PageBounds {
            more,
            more_before: more,
            more_after: seq <= head,
            up_to: seq.saturating_sub(1),
        },
        Range::After { seq, upto } => PageBounds {
            more,
            more_before: first <= seq,
            more_after: more,
            up_to: if more { last.unwrap_or(seq) } else { upto },
        },
    }
}
