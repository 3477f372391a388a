//! The `presence:*` events.

use serde::Serialize;

use super::fields::Fields;
use crate::{error::ChatError, types::Limits};

pub(crate) const SUBSCRIBE: &str = "presence:subscribe";
pub(crate) const UNSUBSCRIBE: &str = "presence:unsubscribe";
pub(crate) const ONLINE: &str = "presence:online";
pub(crate) const OFFLINE: &str = "presence:offline";

/// `{users: [id]}` of `presence:subscribe` and `presence:unsubscribe`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Users {
    pub(crate) users: Vec<String>,
}

impl Users {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        match fields.users("users", limits.users_per_subscribe)? {
            Some(users) => Ok(Self { users }),
            None => Err(fields.wrong("users", "is required: a list of user ids")),
        }
    }
}

/// What a user's devices amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// One of their sessions lives, or ended no longer ago than the grace.
    Online,
    /// None does.
    Offline,
}

/// The ack of both: where those users stand now.
#[derive(Debug, Serialize)]
pub(crate) struct States {
    pub(crate) users: Vec<State>,
}

/// One line of [`States`]. `last_seen` is `null` for a user who was never here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    pub(crate) user_id: String,
    pub(crate) status: Status,
    pub(crate) last_seen: Option<i64>,
}

/// `presence:online`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Online<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) at: i64,
}

/// `presence:offline`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Offline<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) last_seen: i64,
}
