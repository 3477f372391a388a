//! A connection's life: its first event, a fresh token, its own complaints, its end.

use std::sync::{Arc, atomic::Ordering};

use roomful_socket::{Prepared, Reason, Socket};
use roomful_store::LogPosition;

use crate::{
    app::App,
    app::Context,
    connection_log,
    error::ChatError,
    events::connection::{
        ClientError, Nothing, RefreshToken, Refreshed, SESSION, SessionBegan, SessionLimits,
    },
    log::view,
    recovery,
    session::Session,
};

/// An authenticated client is in: it is told about its session, and others that its user is there.
pub(crate) async fn connected(app: Arc<App>, socket: Socket) {
    let Some(me) = socket.state::<Session>() else {
        return;
    };
    app.watch_expiry(*socket.id(), None, me.expires_at());
    if let Some(cluster) = &app.cluster {
        cluster.user_came(&me.user);
    }
    let restored = me.take_restored();
    let upto = restored.as_ref().map(|restored| restored.upto());
    let greeting = greeting(&app, &me, &socket, upto);
    app.notifications.connect(&me, &socket, greeting.as_ref());
    if restored.is_none() {
        app.connections.connected(&me.user, &socket);
    }
    // Before anything that waits for a commit: who is connected is online.
    app.presence.connect(&me, &socket).await;
    match restored {
        Some(restored) => recovery::resume(&app, &me, &socket, *restored).await,
        None => recovery::begin(&app, &me, &socket).await,
    }
    connection_log::connected(&app, &me, &socket, upto.is_some());
    if !still_welcome(&app, &me).await {
        socket.close(Reason::ForcedClose);
    }
}

/// The first event of every connection. It carries an offset, so that a client may come back that has seen no other. A
/// session that is given back has everything up to `upto`.
fn greeting(app: &App, me: &Session, socket: &Socket, upto: Option<LogPosition>) -> Option<Prepared> {
    let event = SessionBegan {
        user_id: &me.user,
        session_id: socket.id().as_str(),
        recovered: upto.is_some(),
        server_time: app.clock.now_ms(),
        limits: session_limits(app),
    };
    let upto = upto.unwrap_or_else(|| app.log.applied());
    let offset = app.log.offset(upto).filter(|_| !me.plain);
    view::prepare(&app.namespace, SESSION, &event, offset.as_deref())
        .inspect_err(|error| tracing::error!(%error, "the session event can't be encoded"))
        .ok()
}

/// A revocation ends the sockets that it finds. One that was between the door and the namespace looks again.
async fn still_welcome(app: &App, me: &Session) -> bool {
    me.serial > app.last_revocation.load(Ordering::SeqCst)
        || app.check_revoked(&me.user, me.issued_at()).await.is_ok()
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

/// A client is gone. All its events were handled before.
pub(crate) async fn disconnected(app: Arc<App>, socket: Socket, reason: Reason) {
    let Some(me) = socket.state::<Session>() else {
        return;
    };
    connection_log::disconnected(&app, &me, &socket, reason);
    // Whatever was given back to it and not taken.
    drop(me.take_restored());
    app.forget_expiry(*socket.id(), me.expires_at());
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
        cluster.user_went(&me.user);
    }
    // The last thing: a client that comes back waits for this.
    app.connections.disconnected(&me.user, &socket);
    recovery::end(&app, &me, reason).await;
}

/// `token:refresh`: what the new token says takes effect at once.
pub(crate) async fn refresh(context: &Context, ask: &RefreshToken) -> Result<Refreshed, ChatError> {
    let Context { app, socket, me } = context;
    let claims = app.verify(&ask.token)?;
    if claims.user != me.user {
        return Err(ChatError::Unauthorized(
            "the new token is for another user; connect anew to change users",
        ));
    }
    app.check_revoked(&claims.user, claims.issued_at).await?;
    let (before, expires_at, name) = (me.expires_at(), claims.expires_at, claims.name.clone());
    let lost = me.renew(claims);
    for room in &lost {
        room.unsubscribe(me.serial);
        app.typing.stop(&me.user, room.id);
    }
    recovery::forget_rooms(app, me, &lost).await;
    app.watch_expiry(*socket.id(), Some(before), expires_at);
    app.presence.rename(&me.user, name);
    Ok(Refreshed { expires_at })
}

/// A client's own `error`: for the log, where `?` escapes what a terminal might obey.
pub(crate) fn client_error(context: &Context, error: &ClientError) -> Nothing {
    let Context { app, socket, me } = context;
    if app.limiters.may_log() {
        let (user, session) = (&*me.user, socket.id().as_str());
        tracing::warn!(user, session, text = ?error.message, "a client reports an error");
    }
    Nothing {}
}
