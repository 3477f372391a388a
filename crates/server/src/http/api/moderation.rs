//! API calls for bans and mutes, in one room and in all.

use axum::{Extension, Json, extract::State};
use roomful_chat::{ChatServer, admin::Impose};
use roomful_store::{Sanction as SanctionRow, SanctionKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    audit::Changed,
    body::{Name, OptionalBody, Path, Query, whole},
    page::{PageQuery, cut},
    problems::Problems,
};
use crate::scope::Caller;

/// A ban or a mute to impose. It takes the place of an earlier one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImposeSanction {
    /// When it ends by itself, in milliseconds since 1970. Without it, it lasts until it is deleted.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 1)]
    until: Option<i64>,
    /// Why, for people.
    reason: Option<String>,
}

/// Ban or mute.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = SanctionKind)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The user cannot be a member. In all rooms, they cannot connect.
    Ban,
    /// The user cannot send, edit or react.
    Mute,
}

/// A ban or a mute.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sanction {
    /// The room. Absent for all rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    user_id: String,
    kind: Kind,
    /// When it ends by itself, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The moderator who imposed it, or the API key as `key:NAME`.
    actor: String,
    /// Milliseconds since 1970.
    at: i64,
}

/// A page of bans or mutes, in byte order of the users' ids.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sanctions {
    sanctions: Vec<Sanction>,
    /// The cursor of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Sanction {
    pub(super) fn of(row: SanctionRow, room: Option<&str>) -> Self {
        Self {
            room: room.map(str::to_owned),
            user_id: row.user_id,
            kind: match row.kind {
                SanctionKind::Ban => Kind::Ban,
                SanctionKind::Mute => Kind::Mute,
            },
            until: row.until,
            reason: row.reason,
            actor: row.actor,
            at: row.at,
        }
    }
}

/// Where a sanction holds, of which kind it is, and whom it concerns.
struct Target {
    room: Option<String>,
    user: String,
    kind: SanctionKind,
}

async fn impose(
    chat: &ChatServer,
    caller: &Caller,
    target: Target,
    order: ImposeSanction,
) -> Result<Changed<Sanction>, Problem> {
    let impose = Impose {
        room: target.room.clone(),
        user_id: target.user,
        kind: target.kind,
        until: order.until,
        reason: order.reason,
        actor: caller.actor(),
    };
    let (sanction, before) = chat.impose(impose).await?;
    let created = before.is_none();
    let room = target.room.as_deref();
    let changed = Changed::to(Sanction::of(sanction, room));
    Ok(changed
        .from(before.map(|before| Sanction::of(before, room)))
        .created(created))
}

async fn lift(chat: &ChatServer, caller: &Caller, target: Target) -> Result<Changed<Sanction>, Problem> {
    let Target { room, user, kind } = target;
    let lifted = chat.lift(room.as_deref(), &user, kind, &caller.actor()).await?;
    let before = Some(Sanction::of(lifted.clone(), room.as_deref()));
    Ok(Changed::removed(Sanction::of(lifted, room.as_deref()), before))
}

async fn list(
    chat: &ChatServer,
    room: Option<&str>,
    kind: SanctionKind,
    page: &PageQuery,
) -> Result<Json<Sanctions>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let mut rows = chat.sanctions(room, kind, after.as_deref(), limit + 1).await?;
    let next = cut(&mut rows, limit, |row| &row.user_id);
    let sanctions = rows.into_iter().map(|row| Sanction::of(row, room)).collect();
    Ok(Json(Sanctions { sanctions, next }))
}

/// The calls for one kind of sanction.
macro_rules! calls {
    ($kind:expr, $in_room:literal, $rooms_user:literal, $all:literal, $user:literal,
        $list_in:ident $list_in_id:literal $list_in_doc:literal,
        $put_in:ident $put_in_id:literal $put_in_doc:literal,
        $delete_in:ident $delete_in_id:literal $delete_in_doc:literal,
        $list_all:ident $list_all_id:literal $list_all_doc:literal,
        $put_all:ident $put_all_id:literal $put_all_doc:literal,
        $delete_all:ident $delete_all_id:literal $delete_all_doc:literal) => {
        #[doc = $list_in_doc]
        #[utoipa::path(get, operation_id = $list_in_id, path = $in_room, tag = "moderation",
            params(
                ("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128),
                PageQuery),
            responses((status = 200, body = Sanctions), Problems))]
        pub(super) async fn $list_in(
            State(chat): State<ChatServer>,
            Path(Name(room)): Path<Name>,
            Query(page): Query<PageQuery>,
        ) -> Result<Json<Sanctions>, Problem> {
            list(&chat, Some(&room), $kind, &page).await
        }

        #[doc = $put_in_doc]
        #[utoipa::path(put, operation_id = $put_in_id, path = $rooms_user, tag = "moderation",
            params(
                ("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128),
                ("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
            request_body = Option<ImposeSanction>,
            responses(
                (status = 200, description = "It replaces an earlier one.", body = Sanction),
                (status = 201, description = "It is new.", body = Sanction), Problems))]
        pub(super) async fn $put_in(
            State(chat): State<ChatServer>,
            Extension(caller): Extension<Caller>,
            Path((Name(room), Name(user))): Path<(Name, Name)>,
            OptionalBody(order): OptionalBody<ImposeSanction>,
        ) -> Result<Changed<Sanction>, Problem> {
            let (room, kind) = (Some(room), $kind);
            impose(&chat, &caller, Target { room, user, kind }, order).await
        }

        #[doc = $delete_in_doc]
        #[utoipa::path(delete, operation_id = $delete_in_id, path = $rooms_user, tag = "moderation",
            params(
                ("room" = String, Path, description = "The room's name.", min_length = 1, max_length = 128),
                ("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
            responses((status = 200, body = Sanction), Problems))]
        pub(super) async fn $delete_in(
            State(chat): State<ChatServer>,
            Extension(caller): Extension<Caller>,
            Path((Name(room), Name(user))): Path<(Name, Name)>,
        ) -> Result<Changed<Sanction>, Problem> {
            let (room, kind) = (Some(room), $kind);
            lift(&chat, &caller, Target { room, user, kind }).await
        }

        #[doc = $list_all_doc]
        #[utoipa::path(get, operation_id = $list_all_id, path = $all, tag = "moderation",
            params(PageQuery), responses((status = 200, body = Sanctions), Problems))]
        pub(super) async fn $list_all(
            State(chat): State<ChatServer>,
            Query(page): Query<PageQuery>,
        ) -> Result<Json<Sanctions>, Problem> {
            list(&chat, None, $kind, &page).await
        }

        #[doc = $put_all_doc]
        #[utoipa::path(put, operation_id = $put_all_id, path = $user, tag = "moderation",
            params(("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
            request_body = Option<ImposeSanction>,
            responses(
                (status = 200, description = "It replaces an earlier one.", body = Sanction),
                (status = 201, description = "It is new.", body = Sanction), Problems))]
        pub(super) async fn $put_all(
            State(chat): State<ChatServer>,
            Extension(caller): Extension<Caller>,
            Path(Name(user)): Path<Name>,
            OptionalBody(order): OptionalBody<ImposeSanction>,
        ) -> Result<Changed<Sanction>, Problem> {
            let (room, kind) = (None, $kind);
            impose(&chat, &caller, Target { room, user, kind }, order).await
        }

        #[doc = $delete_all_doc]
        #[utoipa::path(delete, operation_id = $delete_all_id, path = $user, tag = "moderation",
            params(("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
            responses((status = 200, body = Sanction), Problems))]
        pub(super) async fn $delete_all(
            State(chat): State<ChatServer>,
            Extension(caller): Extension<Caller>,
            Path(Name(user)): Path<Name>,
        ) -> Result<Changed<Sanction>, Problem> {
            let (room, kind) = (None, $kind);
            lift(&chat, &caller, Target { room, user, kind }).await
        }
    };
}

/// The most bans and mutes that the list of one user has.
const MOST_OF_USER: u32 = 200;

/// The bans and mutes of one user, 200 at most.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserSanctions {
    sanctions: Vec<Sanction>,
}

/// Lists the bans and mutes of a user: those that hold in all rooms, then those in single rooms.
#[utoipa::path(get, operation_id = "listUserSanctions", path = "/api/v1/users/{user}/sanctions",
    tag = "moderation",
    params(("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128)),
    responses((status = 200, body = UserSanctions), Problems))]
pub(super) async fn list_of_user(
    State(chat): State<ChatServer>,
    Path(Name(user)): Path<Name>,
) -> Result<Json<UserSanctions>, Problem> {
    let rows = chat.sanctions_of(&user, MOST_OF_USER).await?.into_iter();
    let sanctions = rows.map(|(row, room)| Sanction::of(row, room.as_deref()));
    Ok(Json(UserSanctions {
        sanctions: sanctions.collect(),
    }))
}

calls!(
    SanctionKind::Ban, "/api/v1/rooms/{room}/bans", "/api/v1/rooms/{room}/bans/{user}", "/api/v1/bans",
    "/api/v1/users/{user}/ban",
    list_room_bans "listRoomBans" "Lists the bans of a room.",
    put_room_ban "putRoomBan" "Bans a user in a room.",
    remove_room_ban "removeRoomBan" "Ends a user's ban in a room.",
    list_bans "listBans" "Lists the bans that hold in all rooms.",
    put_ban "putBan" "Bans a user in all rooms.",
    remove_ban "removeBan" "Ends a user's ban in all rooms. Those in single rooms stay."
);
calls!(
    SanctionKind::Mute, "/api/v1/rooms/{room}/mutes", "/api/v1/rooms/{room}/mutes/{user}", "/api/v1/mutes",
    "/api/v1/users/{user}/mute",
    list_room_mutes "listRoomMutes" "Lists the mutes of a room.",
    put_room_mute "putRoomMute" "Mutes a user in a room.",
    remove_room_mute "removeRoomMute" "Ends a user's mute in a room.",
    list_mutes "listMutes" "Lists the mutes that hold in all rooms.",
    put_mute "putMute" "Mutes a user in all rooms.",
    remove_mute "removeMute" "Ends a user's mute in all rooms. Those in single rooms stay."
);
