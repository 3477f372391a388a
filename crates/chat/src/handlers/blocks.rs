//! Handlers for blocking users.

use crate::{
    app::Context,
    error::ChatError,
    events::blocks::{BlockUser, Blocked, Blocks, Unblocked},
    moderation,
    types::UserId,
};

/// `user:block`.
pub(crate) async fn block(context: &Context, ask: &BlockUser) -> Result<Blocked, ChatError> {
    let Context { app, me, .. } = context;
    let (block, _) = moderation::block(app, &me.user, &UserId::from(&*ask.user_id), me.serial).await?;
    Ok(Blocked {
        user_id: block.user_id,
        at: block.at,
    })
}

/// `user:unblock`: succeeds without a block, too.
pub(crate) async fn unblock(context: &Context, ask: BlockUser) -> Result<Unblocked, ChatError> {
    let Context { app, me, .. } = context;
    moderation::unblock(app, &me.user, &UserId::from(&*ask.user_id), me.serial).await?;
    Ok(Unblocked { user_id: ask.user_id })
}

/// `user:blocks`: all of them, since their number has a limit.
pub(crate) async fn blocks(context: &Context) -> Result<Blocks, ChatError> {
    let Context { app, me, .. } = context;
    // A limit that was lowered since must not hide any.
    let blocks = app.store.blocks(&me.user).await?;
    let users = blocks.into_iter().map(|block| block.user_id).collect();
    Ok(Blocks { users })
}
