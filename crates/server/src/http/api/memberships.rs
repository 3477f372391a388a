//! The API call that lists the rooms of a user.

use axum::{Json, extract::State};
use roomful_chat::ChatServer;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Problem,
    body::{Name, Path, Query},
    members::Role,
    page::{PageQuery, cursor_of},
    problems::Problems,
};

/// A room of a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserRoom {
    room: String,
    role: Role,
    /// Milliseconds since 1970.
    joined_at: i64,
    /// The user has read all messages up to and including this seq.
    read_seq: u64,
    /// The newest seq of the room, or 0 if it is empty.
    head: u64,
}

/// A page of a user's rooms, the latest joined first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserRooms {
    rooms: Vec<UserRoom>,
    /// The cursor of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists the rooms of a user with their roles, the latest joined first.
#[utoipa::path(get, operation_id = "listUserRooms", path = "/api/v1/users/{user}/rooms", tag = "users",
    params(
        ("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128),
        PageQuery),
    responses((status = 200, body = UserRooms), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Path(Name(user)): Path<Name>,
    Query(page): Query<PageQuery>,
) -> Result<Json<UserRooms>, Problem> {
    let limit = page.limit()?;
    // The cursor is the number of rooms on the pages before.
    let skip: u32 = match page.after()? {
        None => 0,
        Some(skip) => skip.parse().map_err(|_| PageQuery::foreign_cursor())?,
    };
    let (memberships, has_more) = chat.memberships(&user, skip, limit).await?;
    let rooms = memberships.into_iter().map(|membership| UserRoom {
        room: membership.room.name,
        role: membership.member.role.into(),
        joined_at: membership.member.joined_at,
        read_seq: membership.member.read_seq,
        head: membership.room.head,
    });
    Ok(Json(UserRooms {
        rooms: rooms.collect(),
        next: has_more.then(|| cursor_of(&skip.saturating_add(limit).to_string())),
    }))
}
