//! Blocks between users, and their effects on this node: presence that a blocked user sees, and
//! `user:block_changed`.
//!
//! The store applies blocks in the transaction of a message or notification: it rejects forbidden messages
//! and leaves out hidden recipients. So memory needs no copy of blocks, except for presence subscriptions.

use std::sync::Arc;

use roomful_store::{Block, ModerationAct};

use super::commit;
use crate::{
    app::App,
    error::ChatError,
    events::blocks::{BLOCK_CHANGED, BlockChanged},
    log::control::Control,
    session::Session,
    types::UserId,
};

/// A serial that no session has.
pub(crate) const NO_SESSION: u64 = 0;

/// Blocks `blocked` for `user`. `origin` is the serial of the session that asks, which gets no event. Returns
/// the block and whether it is new.
///
/// # Errors
/// `invalid_request` for a block of oneself, `quota_exceeded` beyond
/// [`Limits::blocks_per_user`](crate::Limits::blocks_per_user).
pub(crate) async fn block(
    app: &App,
    user: &UserId,
    blocked: &UserId,
    origin: u64,
) -> Result<(Block, bool), ChatError> {
    if user == blocked {
        let message = "userId must be another user than yourself".to_owned();
        return Err(ChatError::InvalidRequest(message));
    }
    // Two nodes that block for one user at the same moment may exceed the limit by one.
    let _one_change = app.memberships.lock(("blocks", user)).await;
    let most = app.config.limits.blocks_per_user;
    let blocks = app.store.blocks(user).await?;
    if let Some(known) = blocks.iter().find(|known| *known.user_id == **blocked) {
        return Ok((known.clone(), false));
    }
    if blocks.len() >= most as usize {
        app.metrics.blocks_over_quota.increment(1);
        return Err(ChatError::TooManyBlocks(most));
    }
    let at = app.clock.now_ms();
    let act = ModerationAct::Block {
        user_id: user.to_string(),
        blocked_id: blocked.to_string(),
        at,
    };
    change(app, user, blocked, act, (true, at), origin).await?;
    let block = Block {
        user_id: blocked.to_string(),
        at,
    };
    Ok((block, true))
}

/// Ends a block, if there is one. Returns it.
pub(crate) async fn unblock(
    app: &App,
    user: &UserId,
    blocked: &UserId,
    origin: u64,
) -> Result<Option<Block>, ChatError> {
    let _one_change = app.memberships.lock(("blocks", user)).await;
    let mut blocks = app.store.blocks(user).await?.into_iter();
    let Some(ended) = blocks.find(|known| *known.user_id == **blocked) else {
        return Ok(None);
    };
    let act = ModerationAct::Unblock {
        user_id: user.to_string(),
        blocked_id: blocked.to_string(),
    };
    change(app, user, blocked, act, (false, app.clock.now_ms()), origin).await?;
    Ok(Some(ended))
}

async fn change(
    app: &App,
    user: &UserId,
    blocked: &UserId,
    act: ModerationAct,
    (on, at): (bool, i64),
    origin: u64,
) -> Result<(), ChatError> {
    let control = Control::BlockChanged {
        user: user.to_string(),
        blocked: blocked.to_string(),
        on,
        at,
    };
    commit::commit(app, act, &control).await?;
    if let Some(counter) = app.metrics.blocks.get(usize::from(!on)) {
        counter.increment(1);
    }
    notify_devices(app, user, blocked, (on, at), origin);
    app.presence.block_changed(user, blocked).await;
    Ok(())
}

/// Another node has changed a block.
pub(crate) fn apply_remote_block(app: Arc<App>, user: UserId, blocked: UserId, on: bool, at: i64) {
    notify_devices(&app, &user, &blocked, (on, at), NO_SESSION);
    tokio::spawn(async move { app.presence.block_changed(&user, &blocked).await });
}

/// Tells the user's sockets on this node, without the one that asked.
fn notify_devices(app: &App, user: &UserId, blocked: &UserId, (on, at): (bool, i64), origin: u64) {
    let mut sockets = app.connections.sockets(user);
    sockets.retain(|socket| {
        socket
            .state::<Session>()
            .is_some_and(|session| session.serial != origin)
    });
    let event = BlockChanged {
        user_id: blocked,
        blocked: on,
        at,
    };
    app.emit_to_sockets(&sockets, BLOCK_CHANGED, &event);
}
