//! The handler for `chat:moderate`.
//!
//! A moderator acts against members of their room, an owner also against its moderators. A token with the
//! moderator role makes its user at least a moderator of every room that they are a member of.

use roomful_store::{Role, SanctionKind};

use crate::{
    app::{App, Context},
    error::ChatError,
    events::moderation::{Moderate, Moderated, Moderation, ModerationAction},
    log::control::Control,
    moderation::{self, SanctionOrder},
    room_manager::RoomRef,
    types::UserId,
};

/// `chat:moderate`.
pub(crate) async fn moderate<'a>(context: &Context, ask: &'a Moderate) -> Result<Moderated<'a>, ChatError> {
    let Context { app, me, .. } = context;
    let room = context.my_room(&ask.room).await?;
    check_rank(context, &room, ask).await?;
    let user: Option<UserId> = ask.user_id.as_deref().map(UserId::from);
    let mut deleted = None;
    match (ask.action, &user) {
        (ModerationAction::Freeze, _) => moderation::freeze(app, &room, true).await?,
        (ModerationAction::Unfreeze, _) => moderation::freeze(app, &room, false).await?,
        (ModerationAction::SlowMode, _) => {
            moderation::slow_down(app, &room, ask.seconds.unwrap_or_default()).await?;
        }
        (ModerationAction::DeleteMessages, Some(user)) => {
            deleted = Some(moderation::delete_messages(app, &room, user, &me.user).await?);
            announce_deletion(context, &room, ask).await?;
        }
        (action, Some(user)) => {
            let order = |kind| SanctionOrder {
                room: Some(&*room),
                user,
                kind,
                until: ask.until,
                reason: ask.reason.clone(),
                actor: &me.user,
            };
            match action {
                ModerationAction::Ban => drop(moderation::impose(app, order(SanctionKind::Ban)).await?),
                ModerationAction::Mute => drop(moderation::impose(app, order(SanctionKind::Mute)).await?),
                ModerationAction::Unban => moderation::lift(app, order(SanctionKind::Ban)).await?,
                _ => moderation::lift(app, order(SanctionKind::Mute)).await?,
            }
        }
        // Decoding has checked that these actions have a user.
        (_, None) => return Err(ChatError::Internal),
    }
    Ok(Moderated {
        room: &ask.room,
        action: ask.action,
        user_id: ask.user_id.as_deref(),
        until: ask.until,
        deleted,
    })
}

/// Checks that this user may act in the room, and against the user whom the act concerns.
async fn check_rank(context: &Context, room: &RoomRef, ask: &Moderate) -> Result<(), ChatError> {
    let Context { app, me, .. } = context;
    let mut rank = role(app, room, &me.user).await?;
    if me.is_moderator() {
        rank = rank.max(Role::Moderator);
    }
    if rank == Role::Member {
        return Err(ChatError::NotYours("only a moderator of this room may do this"));
    }
    let Some(user) = ask.user_id.as_deref() else {
        return Ok(());
    };
    if *user == *me.user {
        let message = "chat:moderate: userId must be another user than yourself";
        return Err(ChatError::InvalidRequest(message.to_owned()));
    }
    if role(app, room, user).await? >= rank {
        return Err(ChatError::NotYours(
            "this user has the same role as you or a higher one; ask an owner of the room",
        ));
    }
    Ok(())
}

/// The role of a user in a room; `Member` for one who is none.
async fn role(app: &App, room: &RoomRef, user: &str) -> Result<Role, ChatError> {
    let member = app.store.member(room.id, user).await?;
    Ok(member.map_or(Role::Member, |member| member.role))
}

/// Tells all nodes about deleted messages, for `chat:moderation`.
async fn announce_deletion(context: &Context, room: &RoomRef, ask: &Moderate) -> Result<(), ChatError> {
    let app = &context.app;
    let notice = Moderation {
        user_id: ask.user_id.clone(),
        reason: ask.reason.clone(),
        ..moderation::of_room(room, ask.action, None)
    };
    app.metrics.moderated(ask.action);
    moderation::tell_concerned(app, Some(room), &notice).await;
    if let Some(cluster) = &app.cluster {
        let command = Control::Moderated {
            room: Some(room.id),
            act: notice,
        };
        cluster.command(&command).await?;
    }
    Ok(())
}
