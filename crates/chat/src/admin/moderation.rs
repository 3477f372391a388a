//! Backend calls for bans, mutes, frozen rooms, slow mode and blocks.

use std::sync::Arc;

use roomful_store::{Block, RoomRules, Sanction, SanctionKind, SanctionPage};

use super::{existing, user_id};
use crate::{
    app::App,
    detached::run_to_completion,
    error::ChatError,
    moderation::{self, SanctionOrder},
    room_manager::RoomRef,
    server::ChatServer,
};

const NO_BLOCK: ChatError = ChatError::NotFound("the user has not blocked this user");
const NO_SANCTION: ChatError = ChatError::NotFound("the user has no such ban or mute");

/// A ban or mute to impose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impose {
    /// The room; `None` for all rooms.
    pub room: Option<String>,
    /// The user.
    pub user_id: String,
    /// Ban or mute.
    pub kind: SanctionKind,
    /// When it ends by itself, in milliseconds since 1970.
    pub until: Option<i64>,
    /// Why, for people.
    pub reason: Option<String>,
    /// Who imposes it.
    pub actor: String,
}

impl ChatServer {
    /// Bans or mutes a user, in place of an earlier ban or mute there.
    ///
    /// A ban ends the membership of the room, or of all rooms, and closes subscriptions on all nodes. A ban
    /// from all rooms also closes the user's connections and refuses new ones. Returns the sanction and the
    /// one it replaces.
    ///
    /// # Errors
    /// `not_found` if the room does not exist, `invalid_request` for an invalid id, a time in the past or a
    /// reason that is too long.
    pub async fn impose(&self, impose: Impose) -> Result<(Sanction, Option<Sanction>), ChatError> {
        let (app, user) = (Arc::clone(&self.app), user_id(&impose.user_id)?);
        let most = app.config.limits.reason_chars;
        if impose
            .reason
            .as_ref()
            .is_some_and(|reason| reason.chars().count() > most)
        {
            let message = format!("the reason is longer than {most} characters");
            return Err(ChatError::PayloadTooLarge(message));
        }
        run_to_completion(async move {
            let room = room(&app, impose.room.as_deref()).await?;
            let before = of_user(&app, room.as_ref(), &user, impose.kind).await?;
            let order = SanctionOrder {
                room: room.as_deref(),
                user: &user,
                kind: impose.kind,
                until: impose.until,
                reason: impose.reason,
                actor: &impose.actor,
            };
            Ok((moderation::impose(&app, order).await?, before))
        })
        .await
    }

    /// Ends a ban or a mute of a user, in a room or, with `None`, in all rooms. Returns it.
    ///
    /// # Errors
    /// `not_found` if the room does not exist, or there is no such ban or mute.
    pub async fn lift(
        &self,
        room: Option<&str>,
        user: &str,
        kind: SanctionKind,
        actor: &str,
    ) -> Result<Sanction, ChatError> {
        let (app, user) = (Arc::clone(&self.app), user_id(user)?);
        let (name, actor) = (room.map(str::to_owned), actor.to_owned());
        run_to_completion(async move {
            let room = self::room(&app, name.as_deref()).await?;
            let before = of_user(&app, room.as_ref(), &user, kind).await?;
            let order = SanctionOrder {
                room: room.as_deref(),
                user: &user,
                kind,
                until: None,
                reason: None,
                actor: &actor,
            };
            moderation::lift(&app, order).await?;
            before.ok_or(NO_SANCTION)
        })
        .await
    }

    /// At most `limit` bans or mutes of a room or, with `None`, of all rooms, whose users follow `after`.
    ///
    /// # Errors
    /// `not_found` if the room does not exist.
    pub async fn sanctions(
        &self,
        room: Option<&str>,
        kind: SanctionKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Sanction>, ChatError> {
        let app = &self.app;
        let room = self::room(app, room).await?;
        let page = SanctionPage {
            room: room.map(|room| room.id),
            kind,
            after: after.map(str::to_owned),
            now: app.clock.now_ms(),
            limit,
        };
        Ok(app.store.sanctions(page).await?)
    }

    /// Blocks `blocked` for a user, as the user would do. An earlier block stays. Returns the block and
    /// whether it is new.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id or for twice the same user, `quota_exceeded` beyond the limit.
    pub async fn block(&self, user: &str, blocked: &str) -> Result<(Block, bool), ChatError> {
        let (app, user, blocked) = (Arc::clone(&self.app), user_id(user)?, user_id(blocked)?);
        run_to_completion(
            async move { moderation::block(&app, &user, &blocked, moderation::NO_SESSION).await },
        )
        .await
    }

    /// Ends a user's block of `blocked`. Returns it.
    ///
    /// # Errors
    /// `not_found` if there is none, `invalid_request` for an invalid id.
    pub async fn unblock(&self, user: &str, blocked: &str) -> Result<Block, ChatError> {
        let (app, user, blocked) = (Arc::clone(&self.app), user_id(user)?, user_id(blocked)?);
        run_to_completion(async move {
            let ended = moderation::unblock(&app, &user, &blocked, moderation::NO_SESSION).await?;
            ended.ok_or(NO_BLOCK)
        })
        .await
    }

    /// At most `limit` of the users whom a user has blocked and whose ids follow `after`.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id.
    pub async fn blocks(&self, user: &str, after: Option<&str>, limit: u32) -> Result<Vec<Block>, ChatError> {
        let mut blocks = self.app.store.blocks(&user_id(user)?).await?;
        blocks.retain(|block| after.is_none_or(|after| *block.user_id > *after));
        blocks.truncate(limit as usize);
        Ok(blocks)
    }

    /// At most `limit` bans and mutes of a user, each with the name of its room: first those that hold in all
    /// rooms, which have none.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id, `unavailable` if the store fails.
    pub async fn sanctions_of(
        &self,
        user: &str,
        limit: u32,
    ) -> Result<Vec<(Sanction, Option<String>)>, ChatError> {
        let (app, user) = (&self.app, user_id(user)?);
        let sanctions = app
            .store
            .all_sanctions_of(&user, app.clock.now_ms(), limit)
            .await?;
        let mut named = Vec::with_capacity(sanctions.len());
        for sanction in sanctions {
            match sanction.room {
                None => named.push((sanction, None)),
                // Without the rooms that were deleted meanwhile.
                Some(room) => named.extend(
                    app.store
                        .room(room)
                        .await?
                        .map(|room| (sanction, Some(room.name))),
                ),
            }
        }
        Ok(named)
    }

    /// Checks the interval of a slow mode, in seconds, so that a call with several changes can fail
    /// before the first one.
    ///
    /// # Errors
    /// `invalid_request` for more than the setting allows.
    pub fn check_slow_mode(&self, seconds: u64) -> Result<(), ChatError> {
        moderation::check_slow_mode(&self.app, seconds)
    }

    /// Freezes or unfreezes a room, and changes its slow mode in seconds; `None` keeps a value. Returns the
    /// rules before and after.
    ///
    /// # Errors
    /// `not_found` if the room does not exist, and those of [`Self::check_slow_mode`].
    pub async fn restrict_room(
        &self,
        room: &str,
        frozen: Option<bool>,
        slow_mode: Option<u64>,
    ) -> Result<(RoomRules, RoomRules), ChatError> {
        let (app, room) = (Arc::clone(&self.app), room.to_owned());
        run_to_completion(async move {
            let room = existing(&app, &room).await?;
            let before = app.store.room_rules(room.id).await?;
            if let Some(seconds) = slow_mode {
                moderation::slow_down(&app, &room, seconds).await?;
            }
            if let Some(frozen) = frozen {
                moderation::freeze(&app, &room, frozen).await?;
            }
            Ok((before, app.store.room_rules(room.id).await?))
        })
        .await
    }
}

async fn room(app: &App, name: Option<&str>) -> Result<Option<RoomRef>, ChatError> {
    match name {
        Some(name) => Ok(Some(existing(app, name).await?)),
        None => Ok(None),
    }
}

/// The user's sanction of this kind in exactly this room, or in all rooms.
async fn of_user(
    app: &App,
    room: Option<&RoomRef>,
    user: &str,
    kind: SanctionKind,
) -> Result<Option<Sanction>, ChatError> {
    let room = room.map(|room| room.id);
    let sanctions = app.store.sanctions_of(room, user, app.clock.now_ms()).await?;
    let mut sanctions = sanctions.into_iter();
    Ok(sanctions.find(|sanction| sanction.room == room && sanction.kind == kind))
}
