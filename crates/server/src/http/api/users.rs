//! Where users stand; sending them away; voiding their tokens.

use axum::{Json, extract::State};
use roomful_chat::{ChatServer, Status, admin};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    body::{Path, Query},
    openapi::Problems,
};

/// Where a user stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Presence {
    user_id: String,
    /// `offline`, or what the user chose to show as: `online`, `away`, `busy`. `invisible` is told only where one user
    /// is asked for; to others they are offline.
    #[schema(value_type = String)]
    status: Status,
    /// What they say about it, if something, while they are online.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Now, or when their last session ended, or when they became invisible, in milliseconds since 1970; `null` for a
    /// user who was never here.
    last_seen: Option<i64>,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    #[serde(flatten)]
    presence: Presence,
    /// The name that they last had.
    name: Option<String>,
    /// Their connections.
    devices: Vec<Device>,
}

/// A connection of a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Device {
    /// As its `session` event says.
    session_id: String,
    /// How many rooms it is subscribed to.
    rooms: usize,
    /// When its token ends, in milliseconds since 1970.
    expires_at: i64,
}

/// Which users are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PresenceQuery {
    /// Ids, with commas between them; at most `presence.users_per_subscribe`.
    #[param(min_length = 1, example = "alice,bob")]
    users: String,
}

/// Where users stand, in the order asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Presences {
    users: Vec<Presence>,
}

/// What a disconnect did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Disconnected {
    user_id: String,
    /// How many connections were closed.
    closed: usize,
}

/// What a revocation did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VoidedTokens {
    user_id: String,
    /// Tokens issued before this time are refused, and those without `iat`. Milliseconds since 1970.
    revoked_before: i64,
    /// How many connections were closed.
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

/// Shows a user, also one who is invisible.
#[utoipa::path(get, operation_id = "showUser", path = "/api/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
    responses((status = 200, body = User), Problems))]
pub(super) async fn show(
    State(chat): State<ChatServer>,
    Path(user): Path<String>,
) -> Result<Json<User>, Problem> {
    let state = chat.user(&user).await?;
    let device = |device: admin::Device| Device {
        session_id: device.session_id,
        rooms: device.rooms,
        expires_at: device.expires_at,
    };
    Ok(Json(User {
        presence: state.presence.into(),
        name: state.name,
        devices: state.devices.into_iter().map(device).collect(),
    }))
}

/// Shows where users stand as other users see them.
#[utoipa::path(get, operation_id = "showPresence", path = "/api/v1/presence", tag = "users", params(PresenceQuery),
    responses((status = 200, body = Presences), Problems))]
pub(super) async fn presence(
    State(chat): State<ChatServer>,
    Query(query): Query<PresenceQuery>,
) -> Result<Json<Presences>, Problem> {
    let ids = query.users.split(',').map(str::to_owned).collect();
    let states = chat.presence(ids).await?;
    let users = states.into_iter().map(Presence::from).collect();
    Ok(Json(Presences { users }))
}

/// Closes a user's connections for good. With a token that is still good they may connect anew.
#[utoipa::path(post, operation_id = "disconnectUser", path = "/api/v1/users/{user}/disconnect", tag = "users",
    params(("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
    responses((status = 200, body = Disconnected), Problems))]
pub(super) async fn disconnect(
    State(chat): State<ChatServer>,
    Path(user_id): Path<String>,
) -> Result<Json<Disconnected>, Problem> {
    let closed = chat.disconnect_user(&user_id).await?;
    Ok(Json(Disconnected { user_id, closed }))
}

/// Voids the tokens that a user has, and closes their connections.
#[utoipa::path(post, operation_id = "revokeUser", path = "/api/v1/users/{user}/revoke", tag = "users",
    params(("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
    responses((status = 200, body = VoidedTokens), Problems))]
pub(super) async fn revoke(
    State(chat): State<ChatServer>,
    Path(user_id): Path<String>,
) -> Result<Json<VoidedTokens>, Problem> {
    let revoked = chat.revoke_user(&user_id).await?;
    Ok(Json(VoidedTokens {
        user_id,
        revoked_before: revoked.before,
        closed: revoked.closed,
    }))
}
