//! API calls for rooms: list, show, create or change, delete.

use axum::{Json, extract::State};
use roomful_chat::{ChatError, ChatServer, admin::RoomState};
use roomful_store::{RoomChange, RoomKind, RoomRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    audit::Changed,
    body::{Name, OptionalBody, Path, Query, named_whole, whole},
    page::{PageQuery, cut},
    problems::Problems,
};

/// The largest history limit of a room, in messages.
const MOST_HISTORY: u64 = 1_000_000_000;

/// How users become members of a room.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Any user may join.
    Public,
    /// Only this API adds members.
    Private,
}

/// A change of a room. Absent fields keep their value; a new room is public.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeRoom {
    kind: Option<Kind>,
    /// The number of messages to keep, if below `history.max_messages`. `null` removes the limit.
    #[serde(default, deserialize_with = "named_whole")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1_000_000_000)]
    #[expect(clippy::option_option, reason = "an absent field differs from null")]
    history: Option<Option<u64>>,
    /// The members of a private room: exactly these. All other memberships end.
    members: Option<Vec<String>>,
    /// Seconds between two messages of one user, up to `limits.slow_mode`; 0 ends it. Moderators are exempt.
    #[serde(default, rename = "slowMode", deserialize_with = "whole")]
    #[schema(minimum = 0)]
    slow_mode: Option<u64>,
    /// Whether only moderators may send, edit and react.
    frozen: Option<bool>,
}

/// A room.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoomInfo {
    room: String,
    kind: Kind,
    /// Seqs are comparable only within one epoch.
    epoch: String,
    /// The newest seq, or 0 for an empty room.
    head: u64,
    /// The oldest stored seq, or `head + 1` if nothing is stored.
    first: u64,
    /// The number of messages to keep, if the room has its own limit.
    history: Option<u64>,
    /// Milliseconds since 1970.
    created_at: i64,
}

/// A room with the number of its members.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RoomWithMembers {
    #[serde(flatten)]
    room: RoomInfo,
    /// The number of members.
    members: u64,
    /// The number of online members.
    online: usize,
    /// Seconds between two messages of one user; 0 without slow mode.
    #[serde(rename = "slowMode")]
    slow_mode: u64,
    /// Whether only moderators may send, edit and react.
    frozen: bool,
}

/// A page of rooms, in byte order of their names.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rooms {
    rooms: Vec<RoomInfo>,
    /// The cursor of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The deleted room.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RemovedRoom {
    room: String,
}

impl From<Kind> for RoomKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Public => Self::Public,
            Kind::Private => Self::Private,
        }
    }
}

impl From<RoomRow> for RoomInfo {
    fn from(row: RoomRow) -> Self {
        Self {
            room: row.name,
            kind: match row.kind {
                RoomKind::Public => Kind::Public,
                RoomKind::Private => Kind::Private,
            },
            epoch: row.epoch,
            head: row.head,
            first: row.first,
            history: row.history,
            created_at: row.created_at,
        }
    }
}

impl From<RoomState> for RoomWithMembers {
    fn from(state: RoomState) -> Self {
        Self {
            room: state.room.into(),
            members: state.members,
            online: state.online,
            slow_mode: u64::try_from(state.rules.slow_mode_ms / 1_000).unwrap_or_default(),
            frozen: state.rules.frozen,
        }
    }
}

/// Lists the rooms.
#[utoipa::path(get, operation_id = "listRooms", path = "/api/v1/rooms", tag = "rooms", params(PageQuery),
    responses((status = 200, body = Rooms), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Rooms>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let mut rows = chat.rooms(after.as_deref(), limit + 1).await?;
    let next = cut(&mut rows, limit, |row| &row.name);
    let rooms = rows.into_iter().map(RoomInfo::from).collect();
    Ok(Json(Rooms { rooms, next }))
}

/// Shows a room.
#[utoipa::path(get, operation_id = "showRoom", path = "/api/v1/rooms/{room}", tag = "rooms",
    params(("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128)),
    responses((status = 200, body = RoomWithMembers), Problems))]
pub(super) async fn show(
    State(chat): State<ChatServer>,
    Path(Name(room)): Path<Name>,
) -> Result<Json<RoomWithMembers>, Problem> {
    Ok(Json(chat.room(&room).await?.into()))
}

/// Creates or changes a room.
#[utoipa::path(put, operation_id = "putRoom", path = "/api/v1/rooms/{room}", tag = "rooms",
    params(("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128)),
    request_body = Option<ChangeRoom>,
    responses(
        (status = 200, description = "The room existed.", body = RoomWithMembers),
        (status = 201, description = "The room is new.", body = RoomWithMembers), Problems))]
pub(super) async fn change(
    State(chat): State<ChatServer>,
    Path(Name(room)): Path<Name>,
    OptionalBody(change): OptionalBody<ChangeRoom>,
) -> Result<Changed<RoomWithMembers>, Problem> {
    let ChangeRoom {
        kind,
        history,
        members,
        slow_mode,
        frozen,
    } = change;
    if let Some(Some(0 | MOST_HISTORY..)) = history
        && history != Some(Some(MOST_HISTORY))
    {
        let what = format!("history must be a number of messages from 1 to {MOST_HISTORY}, or null");
        return Err(Problem::Invalid(what));
    }
    let kind = kind.map(RoomKind::from);
    if let Some(seconds) = slow_mode {
        chat.check_slow_mode(seconds)?;
    }
    let before = found(&chat, &room).await?;
    let (mut state, created) = chat
        .put_room(&room, RoomChange { kind, history }, members)
        .await?;
    if slow_mode.is_some() || frozen.is_some() {
        (_, state.rules) = chat.restrict_room(&room, frozen, slow_mode).await?;
    }
    let changed = Changed::to(state.into());
    Ok(changed.from(before).created(created))
}

/// Deletes a room with all its messages.
#[utoipa::path(delete, operation_id = "deleteRoom", path = "/api/v1/rooms/{room}", tag = "rooms",
    params(("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128)),
    responses((status = 200, body = RemovedRoom), Problems))]
pub(super) async fn remove(
    State(chat): State<ChatServer>,
    Path(Name(room)): Path<Name>,
) -> Result<Changed<RemovedRoom>, Problem> {
    let before = found(&chat, &room).await?;
    chat.delete_room(&room).await?;
    Ok(Changed::removed(RemovedRoom { room }, before))
}

/// The room if there is one, for the audit log.
async fn found(chat: &ChatServer, room: &str) -> Result<Option<RoomWithMembers>, Problem> {
    match chat.room(room).await {
        Ok(state) => Ok(Some(state.into())),
        Err(ChatError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
