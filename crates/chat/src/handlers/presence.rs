//! Handlers for online users, presence subscriptions and statuses.

use std::sync::Arc;

use roomful_socket::Socket;

use crate::{
    app::{App, Context},
    error::ChatError,
    events::{
        chat::{InRoom, ONLINE_USERS, OnlineUser, OnlineUsers},
        connection::Nothing,
        presence::{SetStatus, States, Users},
    },
    middleware::price,
    presence::tracker::OnlineEntry,
    reply::Reply,
    room::Room,
    types::UserId,
};

/// The size of a listed user without id and name, in bytes.
const LISTED_USER_BYTES: usize = 72;

/// `chat:get_online_users`: sends the same list as ack and as `chat:online_users`.
pub(crate) async fn online_users(context: &Context, ask: &InRoom, reply: Reply) {
    let Context { app, socket, me } = context;
    let room = match context.my_room(&ask.room).await {
        Ok(room) => room,
        Err(error) => return reply.fail(&error),
    };
    app.presence.ensure_rooms_read(&[room.id]).await;
    let online = listed(app, &room);
    // It goes out twice.
    me.add_debt(price::of_answer(2 * list_bytes(&online)));
    let users = online_list(app, &room, &online);
    emit_online(socket, &users);
    reply.succeed(&users);
}

/// Sends the room's online users to a recovered socket.
pub(crate) fn show(app: &App, socket: &Socket, room: &Room) {
    emit_online(socket, &online_list(app, room, &listed(app, room)));
}

fn emit_online(socket: &Socket, users: &OnlineUsers<'_>) {
    if let Err(error) = socket.emit(ONLINE_USERS, users) {
        tracing::error!(%error, "failed to encode the list of online users");
    }
}

/// The room's online users, within the limits of a list.
fn listed(app: &App, room: &Room) -> Vec<OnlineEntry> {
    let limits = &app.config.limits;
    let mut online = app.presence.online_in(room.id, limits.online_users);
    // The list goes out twice, and must leave room in the outgoing buffer.
    let mut bytes = 0;
    let fits = online.iter().take_while(|entry| {
        bytes += listed_bytes(entry);
        bytes <= limits.online_bytes
    });
    online.truncate(fits.count());
    online
}

fn list_bytes(online: &[OnlineEntry]) -> usize {
    online.iter().map(listed_bytes).sum()
}

fn listed_bytes(entry: &OnlineEntry) -> usize {
    let texts = [entry.name.as_deref(), entry.choice.text.as_deref()];
    let texts = texts.into_iter().flatten().map(str::len).sum::<usize>();
    entry.user.len() + texts + LISTED_USER_BYTES
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

/// `presence:subscribe`: returns the users' states and sends changes from now on.
pub(crate) async fn subscribe(context: &Context, ask: Users) -> Result<States, ChatError> {
    let Context { app, socket, me } = context;
    let users: Vec<UserId> = ask.users.iter().map(|user| Arc::from(user.as_str())).collect();
    let most = app.config.limits.watched_per_socket;
    if !me.watch(&users, most) {
        let message = format!("a connection may subscribe to {most} users; unsubscribe from some first");
        return Err(ChatError::InvalidRequest(message));
    }
    // Subscribe first, so that no change falls between the answer and the subscription.
    app.presence.watch(socket, &users);
    match app.presence.visible_states(me, ask.users.clone()).await {
        Ok(users) => Ok(States { users }),
        Err(error) => {
            me.unwatch(&ask.users);
            app.presence.unwatch(socket, &ask.users);
            Err(error)
        }
    }
}

/// `presence:unsubscribe`: returns the users' states and ends the changes.
pub(crate) async fn unsubscribe(context: &Context, ask: Users) -> Result<States, ChatError> {
    let Context { app, socket, me } = context;
    me.unwatch(&ask.users);
    app.presence.unwatch(socket, &ask.users);
    Ok(States {
        users: app.presence.visible_states(me, ask.users).await?,
    })
}

/// `presence:set_status`: sets the status for all the user's devices.
pub(crate) async fn set_status(context: &Context, ask: SetStatus) -> Result<Nothing, ChatError> {
    let Context { app, socket, me } = context;
    app.presence.choose(&me.user, socket, ask.choice).await?;
    Ok(Nothing {})
}
