//! A connection's life: its first event, a fresh token, its own complaints, its end.

use std::sync::{Arc, atomic::Ordering};

use roomful_socket::{Prepared, Reason, Socket};
use roomful_store::LogPosition;

use crate::{
    controller::Context,
    error::ChatError,
    events::connection::{
        ClientError, Nothing, RefreshToken, Refreshed, SESSION, SessionBegan, SessionLimits,
    },
    recovery,
    room::view,
    servers::chat::Chat,
    session::Session,
};

/// An authenticated client is in: it is told about its session, and others that its user is there.
pub(crate) async fn connected(chat: Arc<Chat>, socket: Socket) {
    let Some(me) = socket.state::<Session>() else {
        return;
    };
    chat.watch_expiry(*socket.id(), None, me.expires_at());
    if let Some(cluster) = &chat.cluster {
        cluster.user_came(&me.user);
    }
    let restored = me.take_restored();
    let upto = restored.as_ref().map(|restored| restored.upto());
    let greeting = greeting(&chat, &me, &socket, upto);
    chat.notifications.connect(&me, &socket, greeting.as_ref());
    if restored.is_none() {
        chat.connections.connected(&me.user, &socket);
    }
    // Before anything that waits for a commit: who is connected is online.
    chat.presence.connect(&me, &socket).await;
    match restored {
        Some(restored) => recovery::resume(&chat, &me, &socket, *restored).await,
        None => recovery::begin(&chat, &me, &socket).await,
    }
    if !still_welcome(&chat, &me).await {
        socket.close(Reason::ForcedClose);
    }
}

/// The first event of every connection. It carries an offset, so that a client may come back that has seen no other. A
/// session that is given back has everything up to `upto`.
fn greeting(chat: &Chat, me: &Session, socket: &Socket, upto: Option<LogPosition>) -> Option<Prepared> {
    let event = SessionBegan {
        user_id: &me.user,
        session_id: socket.id().as_str(),
        recovered: upto.is_some(),
        server_time: chat.clock.now_ms(),
        limits: session_limits(chat),
    };
    let upto = upto.unwrap_or_else(|| chat.order.delivered());
    let offset = chat.order.offset(upto).filter(|_| !me.plain);
    view::prepare(&chat.namespace, SESSION, &event, offset.as_deref())
        .inspect_err(|error| tracing::error!(%error, "the session event can't be encoded"))
        .ok()
}

/// A revocation ends the sockets that it finds. One that was between the door and the namespace looks again.
async fn still_welcome(chat: &Chat, me: &Session) -> bool {
    me.serial > chat.last_revocation.load(Ordering::SeqCst)
        || chat.check_revoked(&me.user, me.issued_at()).await.is_ok()
}

fn session_limits(chat: &Chat) -> SessionLimits {
    let (limits, rates) = (&chat.config.limits, &chat.config.rates);
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
pub(crate) async fn disconnected(chat: Arc<Chat>, socket: Socket, reason: Reason) {
    let Some(me) = socket.state::<Session>() else {
        return;
    };
    // Whatever was given back to it and not taken.
    drop(me.take_restored());
    chat.forget_expiry(*socket.id(), me.expires_at());
    let rooms = me.take_rooms();
    let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
    chat.typing.end_session(&me.user, me.serial, &ids);
    for room in &rooms {
        room.unsubscribe(me.serial);
    }
    chat.notifications.disconnect(&me, &socket);
    chat.presence.unwatch(&socket, &me.take_watched());
    chat.presence.disconnect(&me.user);
    if let Some(cluster) = &chat.cluster {
        cluster.user_went(&me.user);
    }
    // The last thing: a client that comes back waits for this.
    chat.connections.disconnected(&me.user, &socket);
    recovery::end(&chat, &me, reason).await;
}

/// `token:refresh`: what the new token says takes effect at once.
pub(crate) async fn refresh(context: &Context, ask: &RefreshToken) -> Result<Refreshed, ChatError> {
    let Context { chat, socket, me } = context;
    let claims = chat.verify(&ask.token)?;
    if claims.user != me.user {
        return Err(ChatError::Unauthorized(
            "the new token is for another user; connect anew to change users",
        ));
    }
    chat.check_revoked(&claims.user, claims.issued_at).await?;
    let (before, expires_at, name) = (me.expires_at(), claims.expires_at, claims.name.clone());
    let lost = me.renew(claims);
    for room in &lost {
        room.unsubscribe(me.serial);
        chat.typing.stop(&me.user, room.id);
    }
    recovery::forget_rooms(chat, me, &lost).await;
    chat.watch_expiry(*socket.id(), Some(before), expires_at);
    chat.presence.rename(&me.user, name);
    Ok(Refreshed { expires_at })
}

/// A client's own `error`: for the log, where `?` escapes what a terminal might obey.
pub(crate) fn client_error(context: &Context, error: &ClientError) -> Nothing {
    let Context { chat, socket, me } = context;
    if chat.limiters.may_log() {
        tracing::warn!(user = ?me.user, session = %socket.id(), message = ?error.message, "a client reports an error");
    }
    Nothing {}
}
