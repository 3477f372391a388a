//! API calls for the users whom a user has blocked.

use axum::{Json, extract::State};
use roomful_chat::ChatServer;
use roomful_store::Block as BlockRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Problem,
    audit::Changed,
    body::{Name, Path, Query},
    page::{PageQuery, cut},
    problems::Problems,
};

/// A blocked user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Block {
    user_id: String,
    /// Since when, in milliseconds since 1970.
    at: i64,
}

/// A page of blocked users, in byte order of their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Blocks {
    users: Vec<Block>,
    /// The cursor of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl From<BlockRow> for Block {
    fn from(row: BlockRow) -> Self {
        Self {
            user_id: row.user_id,
            at: row.at,
        }
    }
}

/// Lists the users whom a user has blocked.
#[utoipa::path(get, operation_id = "listBlocks", path = "/api/v1/users/{user}/blocks", tag = "users",
    params(
        ("user" = String, Path, description = "The user's id.", min_length = 1, max_length = 128),
        PageQuery),
    responses((status = 200, body = Blocks), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Path(Name(user)): Path<Name>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Blocks>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let mut rows = chat.blocks(&user, after.as_deref(), limit + 1).await?;
    let next = cut(&mut rows, limit, |row| &row.user_id);
    let users = rows.into_iter().map(Block::from).collect();
    Ok(Json(Blocks { users, next }))
}

/// Blocks a user for another one, as that one would do.
#[utoipa::path(put, operation_id = "putBlock", path = "/api/v1/users/{user}/blocks/{blocked}", tag = "users",
    params(
        ("user" = String, Path, min_length = 1, max_length = 128,
            description = "The id of the user who blocks."),
        ("blocked" = String, Path, min_length = 1, max_length = 128,
            description = "The id of the blocked user.")),
    responses(
        (status = 200, description = "The user was blocked already.", body = Block),
        (status = 201, description = "The block is new.", body = Block), Problems))]
pub(super) async fn put(
    State(chat): State<ChatServer>,
    Path((Name(user), Name(blocked))): Path<(Name, Name)>,
) -> Result<Changed<Block>, Problem> {
    let (block, is_new) = chat.block(&user, &blocked).await?;
    let before = (!is_new).then(|| Block::from(block.clone()));
    Ok(Changed::to(Block::from(block)).from(before).created(is_new))
}

/// Ends a block.
#[utoipa::path(
    delete, operation_id = "removeBlock", path = "/api/v1/users/{user}/blocks/{blocked}", tag = "users",
    params(
        ("user" = String, Path, min_length = 1, max_length = 128,
            description = "The id of the user who blocked."),
        ("blocked" = String, Path, min_length = 1, max_length = 128,
            description = "The id of the blocked user.")),
    responses((status = 200, body = Block), Problems))]
pub(super) async fn remove(
    State(chat): State<ChatServer>,
    Path((Name(user), Name(blocked))): Path<(Name, Name)>,
) -> Result<Changed<Block>, Problem> {
    let ended = chat.unblock(&user, &blocked).await?;
    Ok(Changed::removed(
        Block::from(ended.clone()),
        Some(Block::from(ended)),
    ))
}
