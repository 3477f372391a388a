//! Backend calls for memberships, independent of whether the users are online.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use roomful_store::{Member, Role, Sanction};

use super::{NO_ROOM, existing, user_id};
use crate::{
    app::App,
    detached::run_to_completion,
    error::ChatError,
    events::chat::{MEMBER_JOINED, Removal},
    handlers::membership::{
        check_quota, emit_membership_change, end, notify_room_added, sockets_allowed, start_read,
    },
    log::control::Control,
    room::Room,
    server::ChatServer,
    standing,
    types::UserId,
};

const NO_MEMBER: ChatError = ChatError::NotFound("the user is not a member of this room");

impl ChatServer {
    /// Makes a user a member, also of a private room, with `role` or their current one. Returns the
    /// membership and whether it is new.
    ///
    /// # Errors
    /// `not_found` if the room does not exist, `banned` if the user is banned from it, `quota_exceeded` if
    /// the user is a member of too many rooms.
    pub async fn put_member(
        &self,
        room: &str,
        user: &str,
        role: Option<Role>,
    ) -> Result<(Member, bool), ChatError> {
        let (app, room, user) = (Arc::clone(&self.app), room.to_owned(), user_id(user)?);
        run_to_completion(async move { put(&app, &*existing(&app, &room).await?, &user, role).await }).await
    }

    /// Ends a membership and the subscriptions of all the user's sockets.
    ///
    /// # Errors
    /// `not_found` if the room does not exist, or the user is not a member.
    pub async fn remove_member(&self, room: &str, user: &str) -> Result<(), ChatError> {
        let (app, room, user) = (Arc::clone(&self.app), room.to_owned(), user_id(user)?);
        run_to_completion(async move {
            let room = existing(&app, &room).await?;
            let was_member = end(&app, &room, &user, Removal::Removed, None).await?;
            was_member.then_some(()).ok_or(NO_MEMBER)
        })
        .await
    }

    /// The membership of a user; `None` if they are not a member.
    ///
    /// # Errors
    /// `not_found` if the room does not exist.
    pub async fn member(&self, room: &str, user: &str) -> Result<Option<Member>, ChatError> {
        let (room, user) = (existing(&self.app, room).await?, user_id(user)?);
        Ok(self.app.store.member(room.id, &user).await?)
    }

    /// At most `limit` members whose ids follow `after` in byte order.
    ///
    /// # Errors
    /// `not_found` if the room does not exist.
    pub async fn members(
        &self,
        room: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, ChatError> {
        let room = existing(&self.app, room).await?;
        Ok(self.app.store.members(room.id, after, limit).await?)
    }

    /// The mutes of these users for the room, by user.
    ///
    /// # Errors
    /// `not_found` if the room does not exist.
    pub async fn mutes_among(
        &self,
        room: &str,
        users: &[String],
    ) -> Result<HashMap<String, Sanction>, ChatError> {
        let room = existing(&self.app, room).await?;
        standing::mutes_among(&self.app, room.id, users).await
    }
}

/// Makes a user a member of a room, unless they are.
pub(super) async fn put(
    app: &App,
    room: &Room,
    user: &UserId,
    role: Option<Role>,
) -> Result<(Member, bool), ChatError> {
    check_quota(app, user, room.id).await?;
    let _one_change = app.one_membership_change(user, room).await;
    let now = app.clock.now_ms();
    let role_before = match role {
        Some(_) => app.store.member(room.id, user).await?.map(|member| member.role),
        None => None,
    };
    let joined = app.store.put_member(room.id, user, role, now).await?;
    let Some(mut joined) = joined else {
        return Err(app.not_member_error(room.id, user, NO_ROOM).await?);
    };
    if joined.newly {
        start_read(app, &mut joined).await?;
        app.presence.enter(user, room.id);
        emit_membership_change(app, room, MEMBER_JOINED, user, None);
        notify_room_added(app, user, &room.name, joined.member.joined_at);
        app.presence.membership_changed(user).await;
        app.presence.member_joined(user, room.id).await?;
    } else if role_before.is_some_and(|before| before != joined.member.role) {
        announce_role(app, room, user).await?;
    }
    Ok((joined.member, joined.newly))
}

/// Tells the user's sockets on all nodes of their new role, and those that recover later.
async fn announce_role(app: &App, room: &Room, user: &UserId) -> Result<(), ChatError> {
    if let Some(cluster) = &app.cluster {
        let (room, user) = (room.id, user.to_string());
        cluster.command(&Control::RoleChanged { room, user }).await?;
    } else {
        let next = app.store.log_head().position.next();
        app.last_moderation.fetch_max(next.0, Ordering::AcqRel);
    }
    let sockets = sockets_allowed(app, user, &room.name);
    standing::notify(app, (room.id, &room.name), &sockets).await;
    Ok(())
}
