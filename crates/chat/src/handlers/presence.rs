//! Asking who is online, and subscribing to users.

use std::sync::Arc;

use crate::{
    controller::Context,
    error::ChatError,
    events::{
        chat::{InRoom, ONLINE_USERS, OnlineUser, OnlineUsers},
        presence::{States, Status, Users},
    },
    presence_tracker::UserId,
    reply::Reply,
};

/// What a user in a list takes beside id and name.
const LISTED_USER_BYTES: usize = 72;

/// `chat:get_online_users`: answers, and emits the same as `chat:online_users`.
pub(crate) async fn online_users(context: &Context, ask: &InRoom, reply: Reply) {
    let Context { chat, socket, .. } = context;
    let room = match context.my_room(&ask.room).await {
        Ok(room) => room,
        Err(error) => return reply.fail(&error),
    };
    let now = chat.clock.now_ms();
    let limits = &chat.config.limits;
    let mut online = chat.presence.online_in(room.id, limits.online_users);
    // It goes out twice, and must leave room in the outbox for what comes after it.
    let mut bytes = 0;
    let fits = online.iter().take_while(|entry| {
        bytes += entry.user.len() + entry.name.as_deref().map_or(0, str::len) + LISTED_USER_BYTES;
        bytes <= limits.online_bytes
    });
    online.truncate(fits.count());
    let user = |entry| user(entry, now);
    let users = OnlineUsers {
        room: &ask.room,
        users: online.iter().map(user).collect(),
    };
    if let Err(error) = socket.emit(ONLINE_USERS, &users) {
        tracing::error!(%error, "the list of online users can't be encoded");
    }
    reply.succeed(&users);
}

fn user(entry: &crate::presence_tracker::OnlineEntry, now: i64) -> OnlineUser<'_> {
    OnlineUser {
        user_id: &entry.user,
        name: entry.name.as_deref(),
        status: Status::Online,
        last_seen: entry.gone_at.unwrap_or(now),
    }
}

/// `presence:subscribe`: where those users stand now, and their changes from now on.
pub(crate) async fn subscribe(context: &Context, ask: Users) -> Result<States, ChatError> {
    let Context { chat, socket, me } = context;
    let users: Vec<UserId> = ask.users.iter().map(|user| Arc::from(user.as_str())).collect();
    let most = chat.config.limits.watched_per_socket;
    if !me.watch(&users, most) {
        let message = format!("a connection may subscribe to {most} users; unsubscribe from some first");
        return Err(ChatError::InvalidRequest(message));
    }
    // Subscribed first, so that no change falls between the answer and the subscription.
    chat.presence.watch(socket, &users);
    match chat.presence.states(ask.users.clone()).await {
        Ok(users) => Ok(States { users }),
        Err(error) => {
            me.unwatch(&ask.users);
            chat.presence.unwatch(socket, &ask.users);
            Err(error)
        }
    }
}

/// `presence:unsubscribe`: where they stand now, and no more changes.
pub(crate) async fn unsubscribe(context: &Context, ask: Users) -> Result<States, ChatError> {
    let Context { chat, socket, me } = context;
    me.unwatch(&ask.users);
    chat.presence.unwatch(socket, &ask.users);
    Ok(States {
        users: chat.presence.states(ask.users).await?,
    })
}
