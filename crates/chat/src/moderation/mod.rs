//! Moderation: acts of moderators, of users and of the backend, and their effects on this node.
//!
//! An act is a control entry of the log. The store changes its own state in the same transaction, and rejects
//! what the act forbids from the entry's position on. So memory needs no copy of bans and mutes: this module
//! only ends subscriptions and tells those concerned.
//!
//! | file | content |
//! |---|---|
//! | `commit` | writing an act into the log |
//! | `blocks` | blocks between users |
//! | `effects` | ending subscriptions and connections, `chat:moderation` |
//! | `deletion` | deleting all messages of a user in a room |

mod blocks;
mod commit;
mod deletion;
mod effects;

use roomful_store::{ModerationAct, RoomKind, RoomRow, Sanction, SanctionKind};

pub(crate) use self::{
    blocks::{NO_SESSION, apply_remote_block, block, unblock},
    deletion::{delete_message, delete_messages},
    effects::{apply_remote_ban, notify_concerned},
};
use crate::{
    app::App,
    error::{ChatError, NO_ROOM},
    events::{
        chat::{MEMBER_LEFT, Removal},
        moderation::{Announcement, Moderation, ModerationAction},
    },
    handlers::membership,
    log::control::Control,
    room::Room,
    types::UserId,
};

/// A sanction to impose, or its end.
pub(crate) struct SanctionOrder<'a> {
    /// `None` for all rooms.
    pub(crate) room: Option<&'a Room>,
    pub(crate) user: &'a UserId,
    pub(crate) kind: SanctionKind,
    pub(crate) until: Option<i64>,
    pub(crate) reason: Option<String>,
    /// Who gives the order.
    pub(crate) actor: &'a str,
}

impl SanctionOrder<'_> {
    async fn announcement(&self, app: &App, lifts: bool) -> Result<Announcement, ChatError> {
        let event = Moderation {
            room: self.room.map(|room| room.name.to_string()),
            action: ModerationAction::of_sanction(self.kind, lifts),
            user_id: Some(self.user.to_string()),
            until: self.until,
            reason: self.reason.clone(),
            seconds: None,
        };
        let to_user = match self.room {
            Some(room) => self.is_business_of_user(app, room, lifts).await?,
            None => true,
        };
        Ok(Announcement { event, to_user })
    }

    /// True if the user hears of an act in this room: a member, or somebody whose sanction in a public room
    /// ends. Other users learn of a ban when they join. So a moderator cannot write to strangers by acts with
    /// a reason, and nobody learns of a private room.
    async fn is_business_of_user(&self, app: &App, room: &Room, lifts: bool) -> Result<bool, ChatError> {
        if app.store.member(room.id, self.user).await?.is_some() {
            return Ok(true);
        }
        let row = app.store.room(room.id).await?;
        if !lifts || row.is_none_or(|row| row.kind == RoomKind::Private) {
            return Ok(false);
        }
        let now = app.clock.now_ms();
        let sanctions = app.store.sanctions_of(Some(room.id), self.user, now).await?;
        let is_this = |sanction: &Sanction| sanction.room == Some(room.id) && sanction.kind == self.kind;
        Ok(sanctions.iter().any(is_this))
    }
}

/// Bans or mutes a user.
///
/// # Errors
/// `invalid_request` if it would end in the past, `not_found` if the room does not exist.
pub(crate) async fn impose(app: &App, order: SanctionOrder<'_>) -> Result<Sanction, ChatError> {
    let now = app.clock.now_ms();
    if order.until.is_some_and(|until| until <= now) {
        let message = "until must be a time in the future, in milliseconds since 1970".to_owned();
        return Err(ChatError::InvalidRequest(message));
    }
    let sanction = Sanction {
        room: order.room.map(|room| room.id),
        user_id: order.user.to_string(),
        kind: order.kind,
        until: order.until,
        reason: order.reason.clone(),
        actor: order.actor.to_owned(),
        at: now,
    };
    let act = ModerationAct::Impose(sanction.clone());
    let notice = order.announcement(app, false).await?;
    match (order.kind, order.room) {
        (SanctionKind::Mute, room) => carry_out(app, room, act, &notice).await?,
        (SanctionKind::Ban, Some(room)) => ban(app, room, order.user, act, &notice).await?,
        (SanctionKind::Ban, None) => ban_everywhere(app, order.user, act, &notice).await?,
    }
    Ok(sanction)
}

/// Ends a ban or a mute, if there is one.
///
/// # Errors
/// `not_found` if the room does not exist.
pub(crate) async fn lift(app: &App, order: SanctionOrder<'_>) -> Result<(), ChatError> {
    let act = ModerationAct::Lift {
        room: order.room.map(|room| room.id),
        user_id: order.user.to_string(),
        kind: order.kind,
    };
    let mut notice = order.announcement(app, true).await?;
    (notice.event.until, notice.event.reason) = (None, None);
    carry_out(app, order.room, act, &notice).await
}

/// Freezes or unfreezes a room.
///
/// # Errors
/// `not_found` if the room does not exist.
pub(crate) async fn freeze(app: &App, room: &Room, frozen: bool) -> Result<(), ChatError> {
    let act = ModerationAct::Restrict {
        room: room.id,
        frozen: Some(frozen),
        slow_mode_ms: None,
    };
    let action = if frozen {
        ModerationAction::Freeze
    } else {
        ModerationAction::Unfreeze
    };
    carry_out(app, Some(room), act, &of_room(room, action, None)).await
}

/// Changes a room's slow mode; 0 seconds end it.
///
/// # Errors
/// `invalid_request` for more seconds than the setting allows, `not_found` if the room does not exist.
pub(crate) async fn slow_down(app: &App, room: &Room, seconds: u64) -> Result<(), ChatError> {
    check_slow_mode(app, seconds)?;
    let act = ModerationAct::Restrict {
        room: room.id,
        frozen: None,
        slow_mode_ms: Some(i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)),
    };
    let notice = of_room(room, ModerationAction::SlowMode, Some(seconds));
    carry_out(app, Some(room), act, &notice).await
}

/// Checks the seconds of a slow mode.
///
/// # Errors
/// `invalid_request` for more than the setting allows.
pub(crate) fn check_slow_mode(app: &App, seconds: u64) -> Result<(), ChatError> {
    let most = app.config.limits.slow_mode_seconds;
    if seconds > most {
        let message = format!("a slow mode has at most {most} seconds");
        return Err(ChatError::InvalidRequest(message));
    }
    Ok(())
}

/// A notice about a room that concerns no user.
pub(crate) fn of_room(room: &Room, action: ModerationAction, seconds: Option<u64>) -> Announcement {
    let event = Moderation {
        room: Some(room.name.to_string()),
        action,
        user_id: None,
        until: None,
        reason: None,
        seconds,
    };
    Announcement {
        event,
        to_user: false,
    }
}

/// An act that ends nothing.
async fn carry_out(
    app: &App,
    room: Option<&Room>,
    act: ModerationAct,
    notice: &Announcement,
) -> Result<(), ChatError> {
    commit(app, room, act, notice).await?;
    notify_concerned(app, room, notice).await;
    Ok(())
}

async fn commit(
    app: &App,
    room: Option<&Room>,
    act: ModerationAct,
    notice: &Announcement,
) -> Result<(), ChatError> {
    let control = Control::Moderated {
        room: room.map(|room| room.id),
        act: notice.clone(),
    };
    let committed = commit::commit(app, act, &control).await?;
    committed.then_some(()).ok_or(NO_ROOM)?;
    app.metrics.moderated(notice.event.action);
    Ok(())
}

/// Bans a user from one room.
async fn ban(
    app: &App,
    room: &Room,
    user: &UserId,
    act: ModerationAct,
    notice: &Announcement,
) -> Result<(), ChatError> {
    let _one_change = app.one_membership_change(user, room).await;
    let was_member = app.store.member(room.id, user).await?.is_some();
    commit(app, Some(room), act, notice).await?;
    if was_member {
        membership::emit_membership_change(app, room, MEMBER_LEFT, user, None);
    }
    membership::take_out(app, room, user).await;
    app.presence.membership_changed(user).await;
    notify_concerned(app, Some(room), notice).await;
    if was_member {
        membership::notify_room_removed(app, user, &room.name, Removal::Banned);
    }
    Ok(())
}

/// Bans a user from all rooms.
async fn ban_everywhere(
    app: &App,
    user: &UserId,
    act: ModerationAct,
    notice: &Announcement,
) -> Result<(), ChatError> {
    let rooms: Vec<RoomRow> = app.store.rooms_of(user, app.config.rooms_per_user).await?;
    commit(app, None, act, notice).await?;
    effects::end_connections(app, user, notice).await;
    app.store.end_lost_sessions(user).await?;
    for row in rooms {
        effects::left(app, user, &row).await;
    }
    app.presence.membership_changed(user).await;
    Ok(())
}
