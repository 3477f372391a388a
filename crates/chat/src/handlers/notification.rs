//! Handlers for listing and reading notifications.

use std::borrow::Cow;

use roomful_store::NotificationPage;

use crate::{
    app::Context,
    error::ChatError,
    events::notification::{List, Listed, NotificationView, ReadWhich, Unread},
    middleware::price,
    notifications::server::{NOT_FOUND, notice},
    reply::Reply,
};

/// `notification:list`: the newest ones first.
pub(crate) async fn list(context: &Context, ask: List, reply: Reply) {
    let Context { app, me, .. } = context;
    let page = NotificationPage {
        before: ask.before,
        unread_only: ask.unread_only,
        limit: ask.limit,
    };
    let list = match app.store.notifications(&me.user, page).await {
        Ok(Some(list)) => list,
        Ok(None) => return reply.fail(&NOT_FOUND),
        Err(error) => return reply.fail(&error.into()),
    };
    let view = |row| {
        Some(NotificationView {
            notice: Cow::Owned(notice(row)?),
            id: &row.id,
            at: row.at,
            read_at: row.read_at,
        })
    };
    let bytes = list.notifications.iter().map(|row| row.body.len()).sum();
    me.add_debt(price::of_answer(bytes));
    reply.succeed(&Listed {
        notifications: list.notifications.iter().filter_map(view).collect(),
        unread: list.unread,
        more: list.more,
    });
}

/// `notification:read`: the user's other sockets get the new unread count.
pub(crate) async fn read(context: &Context, ask: ReadWhich) -> Result<Unread, ChatError> {
    let which = match ask {
        ReadWhich::One(id) => roomful_store::ReadWhich::One(id),
        ReadWhich::All => roomful_store::ReadWhich::All,
    };
    context.app.notifications.read(&context.me, which).await
}
