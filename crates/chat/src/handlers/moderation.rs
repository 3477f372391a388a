//! The handler for `chat:moderate`.
//!
//! A moderator acts against members of their room, an owner also against its moderators. A token with the
//! moderator role makes its user at least a moderator of every room that they are a member of.

use roomful_store::{AuditRecord, Role, SanctionKind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    app::{App, Context},
    audit,
    error::ChatError,
    events::moderation::{MODERATE, Moderate, Moderated, ModerationAction},
    log::control::Control,
    moderation::{self, SanctionOrder},
    room_manager::RoomRef,
    standing,
    types::UserId,
};

/// The status of a recorded act, as the HTTP API would answer it.
const DONE: u16 = 200;
const FAILED: u16 = 503;

/// `chat:moderate`.
pub(crate) async fn moderate<'a>(context: &Context, ask: &'a Moderate) -> Result<Moderated<'a>, ChatError> {
    let Context { app, me, .. } = context;
    app.limiters.moderation(&me.user)?;
    let room = context.my_room(&ask.room).await?;
    check_rank(context, &room, ask).await?;
    let user: Option<UserId> = ask.user_id.as_deref().map(UserId::from);
    let (mut deleted, before) = (None, state_before(app, &room, ask).await?);
    match (ask.action, &user) {
        (ModerationAction::Freeze, _) => moderation::freeze(app, &room, true).await?,
        (ModerationAction::Unfreeze, _) => moderation::freeze(app, &room, false).await?,
        (ModerationAction::SlowMode, _) => {
            moderation::slow_down(app, &room, ask.seconds.unwrap_or_default()).await?;
        }
        (ModerationAction::DeleteMessages, Some(user)) => {
            deleted = Some(delete_all(context, &room, ask, user).await?);
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
    let moderated = Moderated {
        room: &ask.room,
        action: ask.action,
        user_id: ask.user_id.as_deref(),
        until: ask.until,
        deleted,
    };
    record(context, ask, (DONE, deleted), before).await;
    Ok(moderated)
}

/// Deletes all messages of a user. A failure is recorded as well, since some of them may be gone.
async fn delete_all(
    context: &Context,
    room: &RoomRef,
    ask: &Moderate,
    user: &UserId,
) -> Result<u64, ChatError> {
    let deleted = moderation::delete_messages(&context.app, room, user, &context.me.user).await;
    if deleted.is_err() {
        record(context, ask, (FAILED, None), None).await;
    }
    deleted
}

/// What an act changes, for the audit log.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Audited<'a> {
    action: ModerationAction,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<u64>,
}

/// Adds an act to the audit log, right after it.
async fn record(
    context: &Context,
    ask: &Moderate,
    (status, deleted): (u16, Option<u64>),
    before: Option<Value>,
) {
    let after = Audited {
        action: ask.action,
        until: ask.until,
        reason: ask.reason.as_deref(),
        seconds: ask.seconds,
        deleted,
    };
    let change = AuditRecord {
        actor: context.me.user.to_string(),
        action: MODERATE.to_owned(),
        room: Some(ask.room.to_string()),
        user_id: ask.user_id.clone(),
        status,
        before: before.map(|before| before.to_string()),
        after: serde_json::to_string(&after).ok(),
        ..AuditRecord::default()
    };
    audit::record(&context.app, change).await;
}

/// What an act is about to change, for the audit log.
async fn state_before(app: &App, room: &RoomRef, ask: &Moderate) -> Result<Option<Value>, ChatError> {
    let kind = match ask.action {
        ModerationAction::Ban | ModerationAction::Unban => SanctionKind::Ban,
        ModerationAction::Mute | ModerationAction::Unmute => SanctionKind::Mute,
        ModerationAction::DeleteMessages => return Ok(None),
        ModerationAction::SlowMode | ModerationAction::Freeze | ModerationAction::Unfreeze => {
            let rules = app.store.room_rules(room.id).await?;
            let seconds = rules.slow_mode_ms / 1_000;
            return Ok(Some(json!({ "frozen": rules.frozen, "slowMode": seconds })));
        }
    };
    let user = ask.user_id.as_deref().unwrap_or_default();
    let sanctions = app
        .store
        .sanctions_of(Some(room.id), user, app.clock.now_ms())
        .await?;
    let mut sanctions = sanctions.into_iter();
    let before = sanctions.find(|sanction| sanction.room == Some(room.id) && sanction.kind == kind);
    Ok(before.map(|before| {
        json!({
            "until": before.until, "reason": before.reason, "actor": before.actor, "at": before.at
        })
    }))
}

/// Checks that this user may act in the room, and against the user whom the act concerns.
async fn check_rank(context: &Context, room: &RoomRef, ask: &Moderate) -> Result<(), ChatError> {
    let Context { app, me, .. } = context;
    let rank = standing::role_of(me, role(app, room, &me.user).await?);
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

/// The role of a user in a room; `Member` for a non-member.
async fn role(app: &App, room: &RoomRef, user: &str) -> Result<Role, ChatError> {
    let member = app.store.member(room.id, user).await?;
    Ok(member.map_or(Role::Member, |member| member.role))
}

/// Tells all nodes about deleted messages, for `chat:moderation`.
async fn announce_deletion(context: &Context, room: &RoomRef, ask: &Moderate) -> Result<(), ChatError> {
    let app = &context.app;
    let mut notice = moderation::of_room(room, ask.action, None);
    notice.event.user_id.clone_from(&ask.user_id);
    notice.event.reason.clone_from(&ask.reason);
    if let Some(user) = ask.user_id.as_deref() {
        notice.to_user = app.store.member(room.id, user).await?.is_some();
    }
    app.metrics.moderated(ask.action);
    moderation::notify_concerned(app, Some(room), &notice).await;
    if let Some(cluster) = &app.cluster {
        let command = Control::Moderated {
            room: Some(room.id),
            act: notice,
        };
        cluster.command(&command).await?;
    }
    Ok(())
}
