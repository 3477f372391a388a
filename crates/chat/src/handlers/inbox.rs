//! The handler for the list of a user's rooms.

use roomful_store::InboxRow;

use crate::{
    app::Context,
    error::ChatError,
    events::inbox::{AskInbox, InboxPage, InboxRoom, cursor},
    log::view,
    middleware::price,
    profiles::FoundProfiles,
    reply::Reply,
    types::RoomName,
};

/// `chat:inbox`. A page omits rooms that the token does not allow, so it may be shorter than `limit`.
pub(crate) async fn inbox(context: &Context, ask: &AskInbox, reply: Reply) {
    let found = context
        .app
        .store
        .inbox(&context.me.user, ask.limit, ask.after)
        .await;
    let inbox = match found.map_err(ChatError::from) {
        Ok(inbox) => inbox,
        Err(error) => return reply.fail(&error),
    };
    let next = inbox
        .rooms
        .last()
        .filter(|_| inbox.more)
        .map(|row| cursor(row.cursor));
    let rows: Vec<_> = inbox
        .rooms
        .iter()
        .filter_map(|row| Some((name(context, row)?, row)))
        .collect();
    let last = rows.iter().filter_map(|(_, row)| row.last_message.as_ref());
    let authors = last.map(|entry| entry.user_id.as_str());
    let authors = context.app.profiles.of_authors(authors).await;
    context.me.add_debt(price::of_inbox(inbox.rooms.len()));
    reply.succeed(&InboxPage {
        rooms: rows.iter().map(|(name, row)| line(name, row, &authors)).collect(),
        next,
    });
}

/// The room's name, if the token allows the room.
fn name(context: &Context, row: &InboxRow) -> Option<RoomName> {
    let name = RoomName::new(&row.room.name).ok()?;
    context.me.allows(&name).then_some(name)
}

fn line<'a>(room: &'a RoomName, row: &'a InboxRow, authors: &FoundProfiles) -> InboxRoom<'a> {
    InboxRoom {
        room,
        epoch: &row.room.epoch,
        head: row.room.head,
        last_message: view::last_message(room, &row.room, row.last_message.as_ref(), |author| {
            authors.get(author)?.avatar.clone()
        }),
        unread: row.unread.messages,
        mentions: row.unread.mentions,
        read_seq: row.member.read_seq,
        delivered_seq: row.member.delivered_seq,
    }
}
