//! Deleting all messages of a user in a room: one delete entry for each, as a moderator would do by hand.

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
        let mut answers = Vec::with_capacity(seqs.len());
        for seq in seqs {
            let permit = Arc::clone(&app.calls)
                .acquire_owned()
                .await
                .map_err(|_| ChatError::Internal)?;
            let (reply, answer) = Reply::to_caller(Arc::clone(&app.metrics));
            let delete = PendingWrite {
                user: by.clone(),
                name: None,
                client_id: None,
                content: WriteContent::Change(seq, Change::Delete),
                body: String::new(),
                replacement: None,
                exempt: true,
                charged: false,
                reply,
            };
            app.appender.submit(room.clone(), delete, permit);
            answers.push(answer);
        }
        for answer in join_all(answers).await {
            match answer.unwrap_or(Err(ChatError::Internal)) {
                Ok(_) => deleted += 1,
                // Somebody else has deleted it meanwhile.
                Err(ChatError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
