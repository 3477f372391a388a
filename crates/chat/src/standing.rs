//! What a user may do in the rooms that they enter.

use std::{collections::HashMap, sync::atomic::Ordering};

use roomful_socket::Socket;
use roomful_store::{LogPosition, Mute, Restrictions, Role, RoomId, Sanction};

use crate::{
    app::App,
    error::ChatError,
    events::standing::{Muted, ROOM_STATE, RoomState, Standing},
    middleware::admission::NOT_NOW,
    room_manager::RoomRef,
    session::Session,
    types::RoomName,
};

/// The user's standing in rooms of which they are a member, in the order of the rooms.
pub(crate) async fn standings(
    app: &App,
    me: &Session,
    rooms: &[(RoomId, Role)],
) -> Result<Vec<Standing>, ChatError> {
    let now = app.clock.now_ms();
    let ids: Vec<_> = rooms.iter().map(|(room, _)| *room).collect();
    let restrictions = app.store.restrictions(&ids, &me.user, now).await?;
    let standings = rooms
        .iter()
        .zip(restrictions)
        .map(|((_, role), restrictions)| standing(role_of(me, *role), restrictions, now));
    Ok(standings.collect())
}

/// Sends a recovered session what its user may do in its rooms, if there was an act of moderation or a change
/// of a role since `seen`. Recovery repeats neither.
pub(crate) async fn show(app: &App, me: &Session, socket: &Socket, (rooms, seen): (&[RoomRef], LogPosition)) {
    if app.last_moderation.load(Ordering::Acquire) <= seen.0 {
        return;
    }
    match states(app, me, rooms).await {
        Ok(states) => {
            for (room, standing) in states {
                let room = &room.name;
                drop(socket.emit(ROOM_STATE, &RoomState { room, standing }));
            }
        }
        Err(error) => {
            tracing::warn!(%error, "failed to read what a recovered user may do, closing the connection");
            socket.close(NOT_NOW);
        }
    }
}

/// Tells sockets of a user what the user may do in a room, after a change of their role.
pub(crate) async fn notify(app: &App, (id, room): (RoomId, &RoomName), sockets: &[Socket]) {
    for socket in sockets {
        let Some(me) = socket.state::<Session>() else {
            continue;
        };
        match standing_in(app, &me, id).await {
            Ok(Some(standing)) => drop(socket.emit(ROOM_STATE, &RoomState { room, standing })),
            // They have left the room.
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "failed to read what a user may do after a change of their role");
            }
        }
    }
}

async fn standing_in(app: &App, me: &Session, room: RoomId) -> Result<Option<Standing>, ChatError> {
    let Some(member) = app.store.member(room, &me.user).await? else {
        return Ok(None);
    };
    Ok(standings(app, me, &[(room, member.role)]).await?.pop())
}

/// The user's standing in those of the rooms of which they are a member.
async fn states<'a>(
    app: &App,
    me: &Session,
    rooms: &'a [RoomRef],
) -> Result<Vec<(&'a RoomRef, Standing)>, ChatError> {
    let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
    let memberships = app.store.memberships(&me.user, &ids).await?;
    let members = rooms.iter().zip(memberships);
    let (rooms, roles): (Vec<_>, Vec<_>) = members
        .filter_map(|(room, member)| Some((room, (room.id, member?.role))))
        .unzip();
    let standings = standings(app, me, &roles).await?;
    Ok(rooms.into_iter().zip(standings).collect())
}

/// The user's role in a room, which the token may raise.
pub(crate) fn role_of(me: &Session, role: Role) -> Role {
    if me.is_moderator() {
        role.max(Role::Moderator)
    } else {
        role
    }
}

/// The mutes of these users for a room, by user.
pub(crate) async fn mutes_among(
    app: &App,
    room: RoomId,
    users: &[String],
) -> Result<HashMap<String, Sanction>, ChatError> {
    let mutes = app.store.mutes_among(room, users, app.clock.now_ms()).await?;
    Ok(mutes
        .into_iter()
        .map(|mute| (mute.user_id.clone(), mute))
        .collect())
}

/// Whether the user moderates a room, by the token or as a member.
pub(crate) async fn is_moderator(app: &App, me: &Session, room: RoomId) -> Result<bool, ChatError> {
    if me.is_moderator() {
        return Ok(true);
    }
    let member = app.store.member(room, &me.user).await?;
    Ok(member.is_some_and(|member| member.role != Role::Member))
}

fn standing(role: Role, restrictions: Restrictions, now: i64) -> Standing {
    let wait = if role == Role::Member {
        restrictions.wait_ms(now)
    } else {
        0
    };
    let Restrictions { rules, mute, .. } = restrictions;
    Standing {
        role: role.into(),
        frozen: rules.frozen,
        slow_mode: u64::try_from(rules.slow_mode_ms / 1_000).unwrap_or_default(),
        retry_after_ms: wait,
        muted: mute.map(|Mute { until, reason }| Muted { until, reason }),
    }
}
