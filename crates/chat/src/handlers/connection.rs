//! Handlers for the lifetime of a connection: connect, token refresh, client errors, disconnect.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use roomful_socket::{Prepared, Reason, Socket};
use roomful_store::LogPosition;

use super::profile;
use crate::{
    app::{App, Context},
    connection_log,
    error::ChatError,
    events::{
        chat::{ROOM_REMOVED, Removal, RoomRemoved},
        connection::{
            ClientError, Nothing, Pong, RefreshToken, SESSION, SessionBegan, SessionLimits, TokenExpires,
        },
    },
    log::view,
    middleware::price,
    recovery,
    session::Session,
    types::{Claims, RoomName},
};

/// Greets an authenticated client, recovers or starts its session, and updates presence.
pub(crate) async fn connected(app: Arc<App>, socket: Socket) {
    let Some(me) = socket.state::<Session>() else {
        return;
    };
    app.watch_expiry(*socket.id(), &me);
    if let Some(cluster) = &app.cluster {
        cluster.retain_user(&me.user);
    }
    let restored = me.take_restored();
    let upto = restored.as_ref().map(|restored| restored.0.upto());
    let greeting = greeting(&app, &me, &socket, upto);
    app.notifications.connect(&me, &socket, greeting.as_ref());
    if restored.is_none() {
        app.connections.connected(&me.user, &socket);
    }
    if let Some(profile) = app.profiles.get(&me.user) {
        // The backend may have changed it after the connect read it.
        me.adopt_profile(&profile);
    }
    // Presence comes before any wait for a commit: a connected user is online.
    app.presence.connect(&me, &socket).await;
    match restored {
        Some(restored) => recovery::resume(&app, &me, &socket, *restored).await,
        None => recovery::begin(&app, &me, &socket).await,
    }
    connection_log::connected(&app, &me, &socket, upto.is_some());
    if !is_still_admitted(&app, &me).await {
        socket.close(Reason::ForcedClose);
    }
}

/// The `session` event, first on every connection. Its offset lets a client recover that saw no other event.
/// A recovered session has everything up to `upto`.
fn greeting(app: &App, me: &Session, socket: &Socket, upto: Option<LogPosition>) -> Option<Prepared> {
    let event = SessionBegan {
        user_id: &me.user,
        session_id: socket.id().as_str(),
        recovered: upto.is_some(),
        server_time: app.clock.now_ms(),
        expires_at: me.expires_at(),
        limits: session_limits(app),
    };
    let upto = upto.unwrap_or_else(|| app.log.applied());
    let offset = app.log.offset(upto).filter(|_| !me.plain);
    view::prepare(&app.namespace, SESSION, &event, offset.as_deref())
        .inspect_err(|error| tracing::error!(%error, "failed to encode the session event"))
        .ok()
}

/// Checks once more for a revocation or a ban that missed this socket because it was between admission and
/// the namespace.
async fn is_still_admitted(app: &App, me: &Session) -> bool {
    me.serial > app.last_revocation.load(Ordering::SeqCst)
        || app.check_revoked(&me.user, me.issued_at()).await.is_ok()
            && app.check_banned(&me.user).await.is_ok()
}

fn session_limits(app: &App) -> SessionLimits {
    let (limits, rates) = (&app.config.limits, &app.config.rates);
    SessionLimits {
        text_bytes: limits.text_bytes,
        metadata_bytes: limits.metadata_bytes,
        mentions: limits.mentions,
        rooms: limits.rooms_per_socket,
        page: limits.max_page,
        events_per_second: rates.enabled.then_some(rates.connection.per_second),
        event_burst: rates.enabled.then_some(rates.connection.burst),
    }
}

/// Cleans up after a client. All its events have been handled.
pub(crate) async fn disconnected(app: Arc<App>, socket: Socket, reason: Reason) {
    let Some(me) = socket.state::<Session>() else {
        return;
    };
    connection_log::disconnected(&app, &me, &socket, reason);
    // A recovered session that the connection never took.
    drop(me.take_restored());
    app.forget_expiry(*socket.id(), &me);
    let rooms = me.take_rooms();
    let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
    app.typing.end_session(&me.user, me.serial, &ids);
    for room in &rooms {
        room.unsubscribe(me.serial);
    }
    app.notifications.disconnect(&me, &socket);
    app.presence.unwatch(&socket, &me.take_watched());
    app.presence.disconnect(&me.user);
    if let Some(cluster) = &app.cluster {
        cluster.release_user(&me.user);
    }
    // This comes last: a reconnecting client waits for it.
    app.connections.disconnected(&me.user, &socket);
    me.give_back_slot();
    recovery::end(&app, &me, reason).await;
}

/// `token:refresh`: the new claims take effect at once.
pub(crate) async fn refresh(context: &Context, ask: &RefreshToken) -> Result<TokenExpires, ChatError> {
    let Context { app, socket, me } = context;
    let mut claims = app.verify(&ask.token).await?;
    if claims.user != me.user {
        return Err(ChatError::Unauthorized(
            "the new token is for another user; open a new connection to change users",
        ));
    }
    app.check_revoked(&claims.user, claims.issued_at).await?;
    profile::adopt(app, &mut claims, &*app.profiles.one(&me.user).await?).await;
    let memberships = rooms_lost(app, me, &claims).await?;
    let (expires_at, name) = (claims.expires_at, claims.name.clone());
    let saw_everyone = me.sees_everyone();
    let lost = me.renew(claims);
    for room in &lost {
        room.unsubscribe(me.serial);
        app.typing.stop(&me.user, room.id);
    }
    let subscriptions = lost.iter().map(|room| room.name.clone());
    let removed: BTreeSet<RoomName> = subscriptions.chain(memberships).collect();
    for room in &removed {
        let reason = Removal::Token;
        drop(socket.emit(ROOM_REMOVED, &RoomRemoved { room, reason }));
    }
    recovery::forget_rooms(app, me, &lost).await;
    if me.sees_everyone() != saw_everyone {
        me.add_debt(price::of_comparisons(app.presence.count_compared(&me.user)));
        app.presence.membership_changed(&me.user).await;
    }
    app.watch_expiry(*socket.id(), me);
    app.presence.rename(&me.user, name);
    Ok(TokenExpires { expires_at })
}

/// The rooms that the user is a member of, and that the present token allows and the new one does not.
async fn rooms_lost(app: &App, me: &Session, new: &Claims) -> Result<Vec<RoomName>, ChatError> {
    // Most refreshes keep the rooms, so they read no memberships.
    if new.rooms.is_none() || me.has_rooms_of(new) {
        return Ok(Vec::new());
    }
    let rooms = app.store.rooms_of(&me.user, app.config.rooms_per_user).await?;
    me.add_debt(price::of_inbox(rooms.len()));
    let names = rooms.iter().filter_map(|room| RoomName::new(&room.name).ok());
    Ok(names
        .filter(|name| me.allows(name) && !new.allows(name.as_str()))
        .collect())
}

/// `session:ping`: a liveness probe.
pub(crate) fn ping(context: &Context) -> Pong {
    Pong {
        server_time: context.app.clock.now_ms(),
    }
}

/// A client's own `error`. `?` escapes control characters that a terminal might obey.
pub(crate) fn client_error(context: &Context, error: &ClientError) -> Nothing {
    let Context { app, socket, me } = context;
    if app.limiters.may_log() {
        let (user, session) = (&*me.user, socket.id().as_str());
        tracing::warn!(user, session, reported = ?error.message, "a client reports an error");
    }
    Nothing {}
}
