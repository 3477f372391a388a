//! API calls for users: presence, devices, disconnect, revocation of tokens.

use axum::{
    Extension, Json,
    body::Body as ResponseBody,
    extract::{FromRequestParts, State},
    response::{IntoResponse as _, Response},
};
use http::{header, request::Parts};
use roomful_chat::{ChatServer, Metadata, Profile, Status, admin};
use roomful_store::ProfileChange;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    audit::{Change, Changed},
    body::{Body, Name, Nothing, OptionalBody, Path, Query, named},
    problems::Problems,
};

/// A user's presence.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Presence {
    user_id: String,
    /// `offline`, or the status that the user chose: `online`, `away` or `busy`. Only a request for one
    /// user reports `invisible`; lists report `offline` instead.
    #[schema(value_type = String)]
    status: Status,
    /// The text that the user set beside the status. Absent while they are offline.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The current time if they are online, else the end of their last session or the time they became
    /// invisible. In milliseconds since 1970; `null` for a user who never connected.
    last_seen: Option<i64>,
}

/// A user with their devices.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    #[serde(flatten)]
    presence: Presence,
    /// The display name.
    name: Option<String>,
    /// The URL of the picture.
    avatar: Option<String>,
    /// The app's own fields.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    /// The user's connections.
    devices: Vec<Device>,
}

/// A change of a profile. Absent fields keep their value, `null` removes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "an absent field differs from null")]
pub(super) struct ChangeUser {
    /// The display name. The server keeps 128 characters of it.
    #[serde(default, deserialize_with = "named")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    /// The URL of the picture.
    #[serde(default, deserialize_with = "named")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2048)]
    avatar: Option<Option<String>>,
    /// The app's own fields, at most `limits.metadata` bytes of JSON.
    #[serde(default, deserialize_with = "named")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Option<Box<RawValue>>>,
}

/// A user's profile.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserProfile {
    user_id: String,
    /// The display name.
    name: Option<String>,
    /// The URL of the picture.
    avatar: Option<String>,
    /// The app's own fields.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
}

impl UserProfile {
    fn of(user_id: &str, profile: Profile) -> Self {
        Self {
            user_id: user_id.to_owned(),
            name: text(profile.name.as_deref()),
            avatar: text(profile.avatar.as_deref()),
            metadata: profile.metadata,
        }
    }
}

/// A connection of a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Device {
    /// The id from the `session` event.
    session_id: String,
    /// The number of subscribed rooms.
    rooms: usize,
    /// When the token expires, in milliseconds since 1970.
    expires_at: i64,
}

/// The wanted users. At least one of the parameters is needed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `UserIds` reads")]
pub(super) struct PresenceQuery {
    /// The ids, separated by commas; at most `presence.users_per_subscribe` with those of `user`.
    #[param(example = "alice,bob")]
    users: Option<String>,
    /// One id, which may contain commas. Repeat the parameter for more.
    user: Option<Vec<String>>,
}

/// The ids of [`PresenceQuery`], in order.
pub(super) struct UserIds(Vec<String>);

impl<S: Send + Sync> FromRequestParts<S> for UserIds {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let mut ids = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "users" => ids.extend(value.split(',').map(str::to_owned)),
                "user" => ids.push(value.into_owned()),
                _ => {}
            }
        }
        if ids.is_empty() {
            let what = "Name the users as users=alice,bob, or as user=alice&user=bob.";
            return Err(Problem::Invalid(what.to_owned()));
        }
        Ok(Self(ids))
    }
}

/// The presence of users, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Presences {
    users: Vec<Presence>,
}

/// The result of a disconnect.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Disconnected {
    user_id: String,
    /// The number of closed connections.
    closed: usize,
}

/// The result of a revocation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VoidedTokens {
    user_id: String,
    /// Tokens issued before this time, and tokens without `iat`, are refused. In milliseconds since 1970.
    revoked_before: i64,
    /// The number of closed connections.
    closed: usize,
}

impl From<admin::Presence> for Presence {
    fn from(presence: admin::Presence) -> Self {
        Self {
            user_id: presence.user_id,
            status: presence.status,
            text: presence.text,
            last_seen: presence.last_seen,
        }
    }
}

/// Shows a user, including an invisible one.
#[utoipa::path(get, operation_id = "showUser", path = "/api/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
    responses((status = 200, body = User), Problems))]
pub(super) async fn show(
    State(chat): State<ChatServer>,
    Path(Name(user)): Path<Name>,
) -> Result<Json<User>, Problem> {
    let state = chat.user(&user).await?;
    let device = |device: admin::Device| Device {
        session_id: device.session_id,
        rooms: device.rooms,
        expires_at: device.expires_at,
    };
    Ok(Json(User {
        presence: state.presence.into(),
        name: text(state.profile.name.as_deref()),
        avatar: text(state.profile.avatar.as_deref()),
        metadata: state.profile.metadata,
        devices: state.devices.into_iter().map(device).collect(),
    }))
}

fn text(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// Changes a user's profile. It wins over `name` and `avatar` of the tokens that were issued before.
#[utoipa::path(put, operation_id = "changeUser", path = "/api/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
    request_body = ChangeUser,
    responses((status = 200, body = UserProfile), Problems))]
pub(super) async fn change(
    State(chat): State<ChatServer>,
    Path(Name(user_id)): Path<Name>,
    Body(change): Body<ChangeUser>,
) -> Result<Changed<UserProfile>, Problem> {
    let change = ProfileChange {
        name: change.name,
        avatar: change.avatar,
        metadata: change
            .metadata
            .map(|metadata| metadata.map(|metadata| metadata.get().to_owned())),
    };
    let before = UserProfile::of(&user_id, chat.profile(&user_id).await?);
    let after = chat.set_profile(&user_id, change).await?;
    Ok(Changed::to(UserProfile::of(&user_id, after)).from(Some(before)))
}

/// Shows the presence of users as other users see it.
#[utoipa::path(get, operation_id = "showPresence", path = "/api/v1/presence", tag = "users",
    params(PresenceQuery),
    responses((status = 200, body = Presences), Problems))]
pub(super) async fn presence(
    State(chat): State<ChatServer>,
    UserIds(ids): UserIds,
) -> Result<Json<Presences>, Problem> {
    let states = chat.presence(ids).await?;
    let users = states.into_iter().map(Presence::from).collect();
    Ok(Json(Presences { users }))
}

/// Closes a user's connections. The user may connect again while the token is valid.
#[utoipa::path(post, operation_id = "disconnectUser", path = "/api/v1/users/{user}/disconnect", tag = "users",
    params(("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
    responses((status = 200, body = Disconnected), Problems))]
pub(super) async fn disconnect(
    State(chat): State<ChatServer>,
    Path(Name(user_id)): Path<Name>,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Changed<Disconnected>, Problem> {
    let closed = chat.disconnect_user(&user_id).await?;
    Ok(Changed::to(Disconnected { user_id, closed }))
}

/// Whether an erasure deletes or anonymises the messages of the user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ErasedMessages {
    /// They are deleted.
    #[default]
    Delete,
    /// Their texts stay, under an id that tells nothing.
    Anonymise,
}

/// How to erase a user.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EraseQuery {
    #[param(inline)]
    #[serde(default)]
    messages: ErasedMessages,
}

/// The result of an erasure.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErasedUser {
    user_id: String,
    /// Tokens issued before this time, and tokens without `iat`, are refused. In milliseconds since 1970.
    revoked_before: i64,
}

/// Exports all that is stored about a user, one JSON object a line. Empty for an unknown user.
#[utoipa::path(get, operation_id = "exportUser", path = "/api/v1/users/{user}/export", tag = "users",
    params(("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
    responses((status = 200, content_type = "application/x-ndjson", body = String), Problems))]
pub(super) async fn export(
    State(chat): State<ChatServer>,
    Path(Name(user)): Path<Name>,
) -> Result<Response, Problem> {
    let lines = ResponseBody::from_stream(chat.export_user(&user).await?);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

/// Erases a user everywhere. Repeat the call if its outcome is unknown.
#[utoipa::path(delete, operation_id = "eraseUser", path = "/api/v1/users/{user}", tag = "users",
    params(
        ("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128),
        EraseQuery),
    responses((status = 200, body = ErasedUser), Problems))]
pub(super) async fn erase(
    State(chat): State<ChatServer>,
    Path(Name(user_id)): Path<Name>,
    Query(EraseQuery { messages }): Query<EraseQuery>,
) -> Result<(Extension<Change>, Json<ErasedUser>), Problem> {
    let anonymise = messages == ErasedMessages::Anonymise;
    let erased = chat.erase_user(&user_id, anonymise).await?;
    let revoked_before = erased.revoked_before;
    // The record must not name the user.
    let change = Change {
        user: Some(erased.alias),
        before: None,
        after: Some(json!({ "messages": if anonymise { "anonymise" } else { "delete" } })),
    };
    Ok((
        Extension(change),
        Json(ErasedUser {
            user_id,
            revoked_before,
        }),
    ))
}

/// Revokes a user's tokens and closes their connections.
#[utoipa::path(post, operation_id = "revokeUser", path = "/api/v1/users/{user}/revoke", tag = "users",
    params(("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
    responses((status = 200, body = VoidedTokens), Problems))]
pub(super) async fn revoke(
    State(chat): State<ChatServer>,
    Path(Name(user_id)): Path<Name>,
    OptionalBody(Nothing {}): OptionalBody<Nothing>,
) -> Result<Changed<VoidedTokens>, Problem> {
    let revoked = chat.revoke_user(&user_id).await?;
    Ok(Changed::to(VoidedTokens {
        user_id,
        revoked_before: revoked.before,
        closed: revoked.closed,
    }))
}
