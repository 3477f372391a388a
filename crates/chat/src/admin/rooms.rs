//! Backend calls to create, change, delete and list rooms.

use std::{collections::HashSet, sync::Arc};

use roomful_socket::Class;
use roomful_store::{RoomChange, RoomKind, RoomRow, RoomRules};

use super::{NO_ROOM, existing, members::put, room_name, user_id};
use crate::{
    app::App,
    detached::run_to_completion,
    error::ChatError,
    events::chat::{ROOM_DELETED, Removal, RoomDeleted},
    handlers::membership::{end, give_up, notify_room_removed},
    recovery,
    room::{Frame, Room},
    server::ChatServer,
    types::{RoomName, UserId},
};

/// How many members one read of a membership list returns.
const MEMBERS_PER_PAGE: u32 = 500;

/// A room and the size of its membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomState {
    /// The room.
    pub room: RoomRow,
    /// How many members it has.
    pub members: u64,
    /// How many of them are online.
    pub online: usize,
    /// Whether it is frozen, and its slow mode.
    pub rules: RoomRules,
}

impl ChatServer {
    /// Creates or changes a room. Returns it and whether it is new.
    ///
    /// A private room with `members` gets exactly these: the call ends all other memberships and their
    /// subscriptions, on all nodes. Repeat the call if its outcome is unknown.
    ///
    /// # Errors
    /// `invalid_request` for an invalid name, or `members` of a public room; `banned` if one of them is.
    /// Nothing has changed then.
    pub async fn put_room(
        &self,
        room: &str,
        change: RoomChange,
        members: Option<Vec<String>>,
    ) -> Result<(RoomState, bool), ChatError> {
        let (app, name) = (Arc::clone(&self.app), room_name(room)?);
        let members: Option<HashSet<UserId>> = match members {
            Some(members) => Some(members.iter().map(|id| user_id(id)).collect::<Result<_, _>>()?),
            None => None,
        };
        run_to_completion(async move {
            let now = app.clock.now_ms();
            if let Some(members) = &members {
                check_members(&app, &name, change.kind, members).await?;
            }
            let (row, created) = app.store.put_room(name.as_str(), change, now).await?;
            if let Some(members) = members {
                set_members(&app, &name, &members).await?;
            }
            Ok((state(&app, row).await?, created))
        })
        .await
    }

    /// Returns a room.
    ///
    /// # Errors
    /// `not_found` if no room has this name.
    pub async fn room(&self, room: &str) -> Result<RoomState, ChatError> {
        let app = &self.app;
        let name = room_name(room)?;
        let found = app
            .store
            .open_room(name.as_str(), false, app.clock.now_ms())
            .await?;
        state(app, found.ok_or(NO_ROOM)?).await
    }

    /// At most `limit` rooms whose names follow `after` in byte order.
    pub async fn rooms(&self, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, ChatError> {
        // The server's own rooms sort first, as their names begin with a control character.
        let after = after.filter(|name| !name.is_empty()).unwrap_or("\u{1f}");
        Ok(self.app.store.rooms(Some(after), limit).await?)
    }

    /// Deletes a room and its log. Its sockets get `chat:room_deleted` and lose their subscriptions. A later
    /// room of the same name is unrelated.
    ///
    /// # Errors
    /// `not_found` if no room has this name.
    pub async fn delete_room(&self, room: &str) -> Result<(), ChatError> {
        let (app, room) = (Arc::clone(&self.app), room.to_owned());
        run_to_completion(async move { delete(&app, &room).await }).await
    }
}

/// Checks that a room is private, or becomes it, and that no ban keeps a new member out.
async fn check_members(
    app: &App,
    name: &RoomName,
    kind: Option<RoomKind>,
    members: &HashSet<UserId>,
) -> Result<(), ChatError> {
    let room = app
        .store
        .open_room(name.as_str(), false, app.clock.now_ms())
        .await?;
    let kind = kind.or(room.as_ref().map(|room| room.kind));
    if kind != Some(RoomKind::Private) {
        let message = "members need a private room; add kind: private";
        return Err(ChatError::InvalidRequest(message.to_owned()));
    }
    let room = room.map(|room| room.id);
    for user in members {
        if app.is_banned_from(room, user).await? {
            return Err(ChatError::Banned);
        }
    }
    Ok(())
}

/// Makes exactly these users the members of a private room. Nobody can join it meanwhile.
async fn set_members(app: &App, name: &RoomName, members: &HashSet<UserId>) -> Result<(), ChatError> {
    let room = existing(app, name.as_str()).await?;
    let _one_list = app.member_lists.lock(room.id).await;
    for user in members {
        if app.store.member(room.id, user).await?.is_none() {
            put(app, &room, user, None).await?;
        }
    }
    let mut after: Option<String> = None;
    loop {
        let page = app
            .store
            .members(room.id, after.as_deref(), MEMBERS_PER_PAGE)
            .await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.user_id.clone());
        for member in page {
            let user = UserId::from(member.user_id);
            if !members.contains(&user) {
                end(app, &room, &user, Removal::Removed, None).await?;
            }
        }
    }
}

async fn delete(app: &App, room: &str) -> Result<(), ChatError> {
    // Memory may still have a room that another node deleted, while the store has a newer one of the same
    // name. In that case delete the newer one.
    loop {
        let room = existing(app, room).await?;
        let was_there = match &app.cluster {
            Some(cluster) => cluster.remove_room(room.id, &room.name).await?,
            None => app.store.delete_room(room.id).await?,
        };
        clear(app, &room).await;
        if was_there {
            return Ok(());
        }
    }
}

/// Ends all subscriptions of a deleted room on this node and tells its sockets.
pub(crate) async fn clear(app: &App, room: &Room) {
    app.rooms.detach(room);
    let gone = RoomDeleted { room: &room.name };
    if let Some(frame) = Frame::encode(&app.namespace, ROOM_DELETED, &gone, Class::Durable) {
        room.emit(&frame, |_| true);
    }
    let subscribers = room.unsubscribe_all();
    for subscriber in &subscribers {
        app.typing.stop(&subscriber.user, room.id);
    }
    recovery::unsubscribe(app, room.id, &subscribers).await;
    give_up(room, subscribers);
    for user in app.presence.everyone_in(room.id, usize::MAX) {
        // The deletion's entry in the log may have removed the user just now, and told them.
        if app.presence.leave(&user, room.id) {
            notify_room_removed(app, &user, &room.name, Removal::Deleted);
        }
        app.presence.membership_changed(&user).await;
    }
}

async fn state(app: &App, room: RoomRow) -> Result<RoomState, ChatError> {
    app.presence.ensure_rooms_read(&[room.id]).await;
    Ok(RoomState {
        members: app.store.count_members(room.id).await?,
        online: app.presence.count_in(room.id),
        rules: app.store.room_rules(room.id).await?,
        room,
    })
}
