//! The events of blocks: `user:block`, `user:unblock`, `user:blocks`, and `user:block_changed` to the user's
//! other sockets.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{fields::Fields, shapes};
use crate::{error::ChatError, types::names::check_user_id};

pub(crate) const BLOCK: &str = "user:block";
pub(crate) const UNBLOCK: &str = "user:unblock";
pub(crate) const BLOCKS: &str = "user:blocks";
pub(crate) const BLOCK_CHANGED: &str = "user:block_changed";

/// `{userId}` of `user:block` and `user:unblock`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename = "BlockRequest", rename_all = "camelCase")]
pub(crate) struct BlockUser {
    #[schemars(with = "shapes::UserId")]
    pub(crate) user_id: String,
}

impl BlockUser {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, ChatError> {
        match fields.take("userId") {
            Some(Value::String(user_id)) if check_user_id(&user_id).is_ok() => Ok(Self { user_id }),
            _ => Err(fields.wrong("userId", "is required: the id of a user")),
        }
    }
}

/// The ack of `user:block`.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blocked {
    pub(crate) user_id: String,
    /// Since when the user is blocked, in milliseconds since 1970.
    pub(crate) at: i64,
}

/// The ack of `user:unblock`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unblocked {
    pub(crate) user_id: String,
}

/// The ack of `user:blocks`: the ids of the users whom the user has blocked, in ascending order.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Blocks {
    pub(crate) users: Vec<String>,
}

/// `user:block_changed`: the user has blocked or unblocked somebody, on another device or through the
/// backend.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlockChanged<'a> {
    /// The user whom the block concerns.
    pub(crate) user_id: &'a str,
    /// Whether they are blocked now.
    pub(crate) blocked: bool,
    pub(crate) at: i64,
}
