//! Handlers for online users, presence subscriptions and statuses.

use std::{collections::HashSet, sync::Arc};

use roomful_socket::Socket;
use roomful_store::RoomId;

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
    profiles::FoundProfiles,
    reply::Reply,
    room::Room,
    types::UserId,
};

/// The size of a listed user without id and name, in bytes.
const LISTED_USER_BYTES: usize = 72;

/// The online users of a room, and their profiles.
struct Online {
    users: Vec<OnlineEntry>,
    profiles: FoundProfiles,
}

/// `chat:get_online_users`: sends the same list as ack and as `chat:online_users`.
pub(crate) async fn online_users(context: &Context, ask: &InRoom, reply: Reply) {
    let Context { app, socket, me } = context;
    let room = match context.my_room(&ask.room).await {
        Ok(room) => room,
        Err(error) => return reply.fail(&error),
    };
    app.presence.ensure_rooms_read(&[room.id]).await;
    let online = Online::read(app, &room).await;
    // It goes out twice.
    me.add_debt(price::of_answer(2 * online.bytes()));
    let users = online.view(&room, app.clock.now_ms());
    emit_online(socket, &users);
    reply.succeed(&users);
}

/// Reads the profiles of the rooms' online users into the cache, with one call of the store for all rooms.
pub(crate) async fn load_profiles(app: &App, rooms: &[RoomId]) {
    let most = app.config.limits.online_users;
    let users = rooms.iter().flat_map(|room| app.presence.online_in(*room, most));
    let users: HashSet<_> = users.map(|entry| entry.user).collect();
    app.profiles.of_authors(users.iter().map(|user| &**user)).await;
}

/// Sends the room's online users to a recovered socket.
pub(crate) async fn show(app: &App, socket: &Socket, room: &Room) {
    let online = Online::read(app, room).await;
    emit_online(socket, &online.view(room, app.clock.now_ms()));
}

fn emit_online(socket: &Socket, users: &OnlineUsers<'_>) {
    if let Err(error) = socket.emit(ONLINE_USERS, users) {
        tracing::error!(%error, "failed to encode the list of online users");
    }
}

impl Online {
    /// The room's online users, within the limits of a list.
    async fn read(app: &App, room: &Room) -> Self {
        let limits = &app.config.limits;
        let users = app.presence.online_in(room.id, limits.online_users);
        let profiles = app
            .profiles
            .of_authors(users.iter().map(|entry| &*entry.user))
            .await;
        let mut online = Self { users, profiles };
        // The list goes out twice, and must leave room in the outgoing buffer.
        let mut bytes = 0;
        let fits = online.users.iter().take_while(|entry| {
            bytes += online.entry_bytes(entry);
            bytes <= limits.online_bytes
        });
        let fits = fits.count();
        online.users.truncate(fits);
        online
    }

    fn bytes(&self) -> usize {
        self.users.iter().map(|entry| self.entry_bytes(entry)).sum()
    }

    fn entry_bytes(&self, entry: &OnlineEntry) -> usize {
        let avatar = self.avatar(&entry.user);
        let texts = [entry.name.as_deref(), entry.choice.text.as_deref(), avatar];
        let texts = texts.into_iter().flatten().map(str::len).sum::<usize>();
        entry.user.len() + texts + LISTED_USER_BYTES
    }

    fn avatar(&self, user: &str) -> Option<&str> {
        self.profiles.get(user)?.avatar.as_deref()
    }

    fn view<'a>(&'a self, room: &'a Room, now: i64) -> OnlineUsers<'a> {
        let user = |entry: &'a OnlineEntry| OnlineUser {
            user_id: &entry.user,
            name: entry.name.as_deref(),
            avatar: self.avatar(&entry.user),
            status: entry.choice.status.into(),
            text: entry.choice.text.as_deref(),
            last_seen: entry.last_seen(now),
        };
        OnlineUsers {
            room: &room.name,
            users: self.users.iter().map(user).collect(),
        }
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
    let recipients = app.presence.choose(&me.user, socket, ask.choice).await?;
    me.add_debt(price::of_announcement(recipients));
    Ok(Nothing {})
}
