//! What a user may do in the rooms that they enter.

use roomful_store::{Mute, Restrictions, Role, RoomId};

use crate::{
    app::App,
    error::ChatError,
    events::standing::{Muted, Standing},
    session::Session,
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

/// The user's role in a room, which the token may raise.
pub(crate) fn role_of(me: &Session, role: Role) -> Role {
    if me.is_moderator() {
        role.max(Role::Moderator)
    } else {
        role
    }
}

fn standing(role: Role, restrictions: Restrictions, now: i64) -> Standing {
    let Restrictions {
        rules,
        last_send,
        mute,
    } = restrictions;
    let next_send = last_send.map_or(now, |last| last.saturating_add(rules.slow_mode_ms));
    let wait = if role == Role::Member { next_send - now } else { 0 };
    Standing {
        role: role.into(),
        frozen: rules.frozen,
        slow_mode: u64::try_from(rules.slow_mode_ms / 1_000).unwrap_or_default(),
        retry_after_ms: u64::try_from(wait).unwrap_or_default(),
        muted: mute.map(|Mute { until, reason }| Muted { until, reason }),
    }
}
