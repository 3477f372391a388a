//! API calls for the members of a room, whether online or not.

use std::{collections::HashMap, sync::Arc};

use axum::{Extension, Json, extract::State};
use roomful_chat::{ChatServer, Profile};
use roomful_store::{Member as MemberRow, Role as MemberRole};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    audit::Changed,
    body::{Name, OptionalBody, Path, Query},
    moderation::Sanction,
    page::{PageQuery, cut},
    problems::Problems,
};
use crate::scope::{Caller, Needed, Scope};

/// A member's role in a room.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// Sends, edits and deletes their own messages.
    Member,
    /// Also deletes messages of others, and bans and mutes members.
    Moderator,
    /// Also acts against moderators.
    Owner,
}

/// A change of a membership. Without a role it stays the same; a new member gets `member`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeMember {
    role: Option<Role>,
}

/// A membership.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    user_id: String,
    /// The user's display name; `null` without one.
    name: Option<String>,
    /// The URL of the user's picture; `null` without one.
    avatar: Option<String>,
    role: Role,
    /// Milliseconds since 1970.
    joined_at: i64,
    /// The member has read all messages up to and including this seq.
    read_seq: u64,
    /// The member's mute for this room. Only `listMembers` tells it, and only to a key with the scope
    /// `moderation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    muted: Option<Sanction>,
}

/// A page of members, in byte order of their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Members {
    members: Vec<Member>,
    /// The cursor of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The membership that ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemovedMember {
    room: String,
    user_id: String,
}

impl From<MemberRole> for Role {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Member => Self::Member,
            MemberRole::Moderator => Self::Moderator,
            MemberRole::Owner => Self::Owner,
        }
    }
}

impl Member {
    pub(super) fn new(row: MemberRow, profile: Option<&Profile>) -> Self {
        let text =
            |of: fn(&Profile) -> &Option<Arc<str>>| profile.and_then(|p| of(p).as_deref().map(str::to_owned));
        Self {
            user_id: row.user_id,
            name: text(|profile| &profile.name),
            avatar: text(|profile| &profile.avatar),
            role: row.role.into(),
            joined_at: row.joined_at,
            read_seq: row.read_seq,
            muted: None,
        }
    }
}

/// Lists the members of a room.
#[utoipa::path(get, operation_id = "listMembers", path = "/api/v1/rooms/{room}/members", tag = "members",
    params(
        ("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128),
        PageQuery),
    responses((status = 200, body = Members), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Extension(caller): Extension<Caller>,
    Path(Name(room)): Path<Name>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Members>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let mut rows = chat.members(&room, after.as_deref(), limit + 1).await?;
    let next = cut(&mut rows, limit, |row| &row.user_id);
    let profiles = chat.profiles(rows.iter().map(|row| &*row.user_id)).await?;
    let mut mutes = if caller.check(Needed::One(Scope::Moderation)).is_ok() {
        let users: Vec<_> = rows.iter().map(|row| row.user_id.clone()).collect();
        chat.mutes_among(&room, &users).await?
    } else {
        HashMap::new()
    };
    let view = |row: MemberRow| {
        let profile = profiles.get(&*row.user_id).map(AsRef::as_ref);
        let mute = mutes.remove(&row.user_id);
        Member {
            muted: mute.map(|mute| Sanction::of(mute, Some(&room))),
            ..Member::new(row, profile)
        }
    };
    let members = rows.into_iter().map(view).collect();
    Ok(Json(Members { members, next }))
}

/// Adds a member, or changes their role.
#[utoipa::path(put, operation_id = "putMember", path = "/api/v1/rooms/{room}/members/{user}", tag = "members",
    params(
        ("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128),
        ("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
    request_body = Option<ChangeMember>,
    responses(
        (status = 200, description = "The user was a member already.", body = Member),
        (status = 201, description = "The user is a new member.", body = Member), Problems))]
pub(super) async fn change(
    State(chat): State<ChatServer>,
    Path((Name(room), Name(user))): Path<(Name, Name)>,
    OptionalBody(change): OptionalBody<ChangeMember>,
) -> Result<Changed<Member>, Problem> {
    let role = change.role.map(|role| match role {
        Role::Member => MemberRole::Member,
        Role::Moderator => MemberRole::Moderator,
        Role::Owner => MemberRole::Owner,
    });
    let before = chat.member(&room, &user).await?;
    let (member, newly) = chat.put_member(&room, &user, role).await?;
    let profile = chat.profile(&user).await?;
    let named = |row| Member::new(row, Some(&profile));
    Ok(Changed::to(named(member)).from(before.map(named)).created(newly))
}

/// Removes a member and ends the subscriptions of all their sockets.
#[utoipa::path(
    delete, operation_id = "removeMember", path = "/api/v1/rooms/{room}/members/{user}", tag = "members",
    params(
        ("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128),
        ("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
    responses((status = 200, body = RemovedMember), Problems))]
pub(super) async fn remove(
    State(chat): State<ChatServer>,
    Path((Name(room), Name(user_id))): Path<(Name, Name)>,
) -> Result<Changed<RemovedMember>, Problem> {
    let before = chat.member(&room, &user_id).await?;
    let profile = chat.profile(&user_id).await?;
    chat.remove_member(&room, &user_id).await?;
    let before = before.map(|row| Member::new(row, Some(&profile)));
    Ok(Changed::removed(RemovedMember { room, user_id }, before))
}
