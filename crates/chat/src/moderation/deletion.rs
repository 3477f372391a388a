//! Deleting messages as a moderator: one, or all of a user in a room with one delete entry for each.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::{
    app::App,
    error::ChatError,
    log::pending::{PendingWrite, WriteContent},
    reply::Reply,
    room_manager::RoomRef,
    types::{Change, UserId},
};

/// How many messages are deleted at a time.
const AT_A_TIME: u32 = 100;

/// Deletes the messages of `author` in a room, by the moderator `by`. Returns how many.
///
/// # Errors
/// `unavailable`, `internal`: some messages may be deleted. Repeat the call.
pub(crate) async fn delete_messages(
    app: &App,
    room: &RoomRef,
    author: &str,
    by: &UserId,
) -> Result<u64, ChatError> {
    let (mut before, mut deleted) = (u64::MAX, 0);
    loop {
        let seqs = app.store.messages_of(room.id, author, before, AT_A_TIME).await?;
        let Some(last) = seqs.last() else {
            return Ok(deleted);
        };
        before = *last;
        let deletions = seqs.into_iter().map(|seq| delete_message(app, room, seq, by));
        for result in join_all(deletions).await {
            deleted += u64::from(result?);
        }
    }
}

/// Deletes a message, by the moderator `by`. False if there is none, or none any more.
///
/// # Errors
/// `unavailable`, `internal`: the message may be deleted. Repeat the call.
pub(crate) async fn delete_message(
    app: &App,
    room: &RoomRef,
    seq: u64,
    by: &UserId,
) -> Result<bool, ChatError> {
    let permit = Arc::clone(&app.calls)
        .acquire_owned()
        .await
        .map_err(|_| ChatError::Internal)?;
    let (reply, answer) = Reply::to_caller(Arc::clone(&app.metrics));
    let delete = PendingWrite {
        user: by.clone(),
        name: None,
        avatar: None,
        client_id: None,
        content: WriteContent::Change(seq, Change::Delete),
        body: String::new(),
        replacement: None,
        exempt: true,
        as_member: false,
        charged: false,
        reply,
    };
    app.appender.submit(room.clone(), delete, permit);
    match answer.await.unwrap_or(Err(ChatError::Internal)) {
        Ok(_) => Ok(true),
        // Somebody else has deleted it meanwhile.
        Err(ChatError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
