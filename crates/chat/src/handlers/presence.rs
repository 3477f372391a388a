//! Asking who is online, subscribing to users, choosing what to show as.

use std::sync::Arc;

use roomful_socket::Socket;

use crate::{
    app::App,
    app::Context,
    error::ChatError,
    events::{
        chat::{InRoom, ONLINE_USERS, OnlineUser, OnlineUsers},
        connection::Nothing,
        presence::{SetStatus, States, Users},
    },
    presence::tracker::OnlineEntry,
    reply::Reply,
    room::Room,
    types::UserId,
};

/// What a user in a list takes beside id and name.
const LISTED_USER_BYTES: usize = 72;

/// `chat:get_online_users`: answers, and emits the same as `chat:online_users`.
pub(crate) async fn online_users(context: &Context, ask: &InRoom, reply: Reply) {
    let Context { app, socket, .. } = context;
    let room = match context.my_room(&ask.room).await {
        Ok(room) => room,
        Err(error) => return reply.fail(&error),
    };
    app.presence.ensure_rooms_read(&[room.id]).await;
    let online = listed(app, &room);
    let users = online_list(app, &room, &online);
    emit_online(socket, &users);
    reply.succeed(&users);
}

/// Tells a socket that has come back to a room who is online there.
pub(crate) fn show(app: &App, socket: &Socket, room: &Room) {
    emit_online(socket, &online_list(app, room, &listed(app, room)));
}

fn emit_online(socket: &Socket, users: &OnlineUsers<'_>) {
    if let Err(error) = socket.emit(ONLINE_USERS, users) {
        tracing::error!(%error, "the list of online users can't be encoded");
    }
}

/// Those who are online in a room, as many as a list may have.
fn listed(app: &App, room: &Room) -> Vec<OnlineEntry> {
    let limits = &app.config.limits;
    let mut online = app.presence.online_in(room.id, limits.online_users);
    // It goes out twice, and must leave room in the outbox for what comes after it.
    let mut bytes = 0;
    let fits = online.iter().take_while(|entry| {
        let texts = [entry.name.as_deref(), entry.choice.text.as_deref()];
        let texts = texts.into_iter().flatten().map(str::len).sum::<usize>();
        bytes += entry.user.len() + texts + LISTED_USER_BYTES;
        bytes <= limits.online_bytes
    });
    online.truncate(fits.count());
    online
}

fn online_list<'a>(app: &App, room: &'a Room, online: &'a [OnlineEntry]) -> OnlineUsers<'a> {
    let now = app.clock.now_ms();
    OnlineUsers {
        room: &room.name,
        users: online.iter().map(|entry| user(entry, now)).collect(),
    }
}

fn user(entry: &OnlineEntry, now: i64) -> OnlineUser<'_> {
    OnlineUser {
        user_id: &entry.user,
        name: entry.name.as_deref(),
        status: entry.choice.status.into(),
        text: entry.choice.text.as_deref(),
        last_seen: entry.last_seen(now),
    }
}

/// `presence:subscribe`: where those users stand now, and their changes from now on.
pub(crate) async fn subscribe(context: &Context, ask: Users) -> Result<States, ChatError> {
    let Context { app, socket, me } = context;
    let users: Vec<UserId> = ask.users.iter().map(|user| Arc::from(user.as_str())).collect();
    let most = app.config.limits.watched_per_socket;
    if !me.watch(&users, most) {
        let message = format!("a connection may subscribe to {most} users; unsubscribe from some first");
        return Err(ChatError::InvalidRequest(message));
    }
    // Subscribed first, so that no change falls between the answer and the subscription.
    app.presence.watch(socket, &users);
    match app.presence.states(ask.users.clone(), Some(&me.user)).await {
        Ok(users) => Ok(States { users }),
        Err(error) => {
            me.unwatch(&ask.users);
            app.presence.unwatch(socket, &ask.users);
            Err(error)
        }
    }
}

/// `presence:unsubscribe`: where they stand now, and no more changes.
pub(crate) async fn unsubscribe(context: &Context, ask: Users) -> Result<States, ChatError> {
    let Context { app, socket, me } = context;
    me.unwatch(&ask.users);
    app.presence.unwatch(socket, &ask.users);
    Ok(States {
        users: app.presence.states(ask.users, Some(&me.user)).await?,
    })
}

/// `presence:set_status`: on all the user's devices, until they choose again.
pub(crate) async fn set_status(context: &Context, ask: SetStatus) -> Result<Nothing, ChatError> {
    let Context { app, socket, me } = context;
    app.presence.choose(&me.user, socket, ask.choice).await?;
    Ok(Nothing {})
}
