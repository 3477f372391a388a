//! Putting users into rooms and taking them out, whether or not they are online.

use std::sync::Arc;

use roomful_store::{Member, Role};

use super::{NO_ROOM, existing, user_id};
use crate::{
    app::App,
    detached::run_to_completion,
    error::ChatError,
    events::chat::MEMBER_JOINED,
    handlers::membership::{end, tell_others},
    server::ChatServer,
    types::UserId,
};

const NO_MEMBER: ChatError = ChatError::NotFound("the user is not a member of this room");

impl ChatServer {
    /// Makes a user a member, of a private room too, with `role` or the one they have. Answers the membership, and
    /// whether it is a new one.
    ///
    /// # Errors
    /// `not_found` if there is no such room.
    pub async fn put_member(
        &self,
        room: &str,
        user: &str,
        role: Option<Role>,
    ) -> Result<(Member, bool), ChatError> {
        let (app, room, user) = (Arc::clone(&self.app), room.to_owned(), user_id(user)?);
        run_to_completion(async move { put(&app, &room, &user, role).await }).await
    }

    /// Ends a membership, and with it the subscriptions of all the user's sockets, which are told.
    ///
    /// # Errors
    /// `not_found` if there is no such room, or the user is no member.
    pub async fn remove_member(&self, room: &str, user: &str) -> Result<(), ChatError> {
        let (app, room, user) = (Arc::clone(&self.app), room.to_owned(), user_id(user)?);
        run_to_completion(async move {
            let room = existing(&app, &room).await?;
            let was_member = end(&app, &room, &user, None).await?;
            was_member.then_some(()).ok_or(NO_MEMBER)
        })
        .await
    }

    /// The members whose ids come after `after` in the order of their bytes, `limit` at most.
    ///
    /// # Errors
    /// `not_found` if there is no such room.
    pub async fn members(
        &self,
        room: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, ChatError> {
        let room = existing(&self.app, room).await?;
        Ok(self.app.store.members(room.id, after, limit).await?)
    }
}

async fn put(app: &App, room: &str, user: &UserId, role: Option<Role>) -> Result<(Member, bool), ChatError> {
    let room = existing(app, room).await?;
    let _one_change = app.one_membership_change(user, &room).await;
    let now = app.clock.now_ms();
    let joined = app
        .store
        .put_member(room.id, user, role, now)
        .await?
        .ok_or(NO_ROOM)?;
    if joined.newly {
        app.presence.enter(user, room.id);
        tell_others(app, &room, MEMBER_JOINED, user, None);
        app.presence.member_joined(user, room.id).await?;
    }
    Ok((joined.member, joined.newly))
}
