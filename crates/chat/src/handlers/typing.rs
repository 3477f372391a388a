//! The handlers of `chat:typing_start` and `chat:typing_stop`.

use crate::{
    app::Context,
    error::ChatError,
    events::{chat::InRoom, connection::Nothing},
};

/// `chat:typing_start`.
pub(crate) fn start(context: &Context, ask: &InRoom) -> Result<Nothing, ChatError> {
    // Typing requires a subscription and ends with it.
    let not_joined = ChatError::NotYours("join the room on this connection first: typing ends with it");
    let room = context.me.joined(&ask.room).ok_or(not_joined)?;
    context
        .app
        .typing
        .start(&context.me.user, room.id, context.me.serial);
    Ok(Nothing {})
}

/// `chat:typing_stop`.
pub(crate) async fn stop(context: &Context, ask: &InRoom) -> Result<Nothing, ChatError> {
    let room = context.my_room(&ask.room).await?;
    context.app.typing.stop(&context.me.user, room.id);
    Ok(Nothing {})
}
