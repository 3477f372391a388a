//! The `presence:*` events.

use std::sync::Arc;

use roomful_store::ChosenStatus;
use schemars::JsonSchema;
use serde::Serialize;

use super::{fields::Fields, shapes};
use crate::{
    error::ChatError,
    presence::tracker::Choice,
    types::{
        Limits,
        names::{check_status_text, is_visible},
    },
};

pub(crate) const SUBSCRIBE: &str = "presence:subscribe";
pub(crate) const UNSUBSCRIBE: &str = "presence:unsubscribe";
pub(crate) const SET_STATUS: &str = "presence:set_status";
pub(crate) const STATUS: &str = "presence:status";
pub(crate) const ONLINE: &str = "presence:online";
pub(crate) const OFFLINE: &str = "presence:offline";

/// `{users: [id]}` of `presence:subscribe` and `presence:unsubscribe`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename = "PresenceRequest")]
pub(crate) struct Users {
    #[schemars(with = "shapes::PresenceUsers")]
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

/// `{status, text?}` of `presence:set_status`. An absent or invisible text clears the text.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
pub(crate) struct SetStatus {
    #[schemars(flatten, with = "ChoiceFields")]
    pub(crate) choice: Choice,
}

/// The fields of a [`Choice`] in a payload.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes a part of the payload")]
struct ChoiceFields {
    status: shapes::ChosenStatus,
    text: Option<shapes::StatusText>,
}

impl SetStatus {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        let status = fields.take("status");
        let status = match status.as_ref().and_then(|status| status.as_str()) {
            Some("online") => ChosenStatus::Online,
            Some("away") => ChosenStatus::Away,
            Some("busy") => ChosenStatus::Busy,
            Some("invisible") => ChosenStatus::Invisible,
            _ => {
                return Err(fields.wrong("status", "is required: online, away, busy or invisible"));
            }
        };
        let text = fields.short_text("text", limits.status_text_chars)?;
        if let Some(text) = &text {
            check_status_text(text).map_err(|must| fields.wrong("text", must))?;
        }
        let text = text.filter(|text| is_visible(text)).map(Arc::from);
        Ok(Self {
            choice: Choice { status, text },
        })
    }
}

/// A user's status, derived from their connections and their own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// At least one connection is open, or the last one ended within the grace period.
    Online,
    /// Online, and the user chose "away".
    Away,
    /// Online, and the user chose "do not disturb".
    Busy,
    /// Online, and the user chose to appear offline. Others never see this status.
    Invisible,
    /// No open connection, or an invisible user as others see them.
    Offline,
}

impl From<ChosenStatus> for Status {
    fn from(chosen: ChosenStatus) -> Self {
        match chosen {
            ChosenStatus::Online => Self::Online,
            ChosenStatus::Away => Self::Away,
            ChosenStatus::Busy => Self::Busy,
            ChosenStatus::Invisible => Self::Invisible,
        }
    }
}

/// The ack of `presence:subscribe` and `presence:unsubscribe`: the users' current states.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PresenceStates")]
pub(crate) struct States {
    pub(crate) users: Vec<State>,
}

/// One user of [`States`]. `last_seen` is `null` for a user who never connected.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PresenceState")]
pub(crate) struct State {
    pub(crate) user_id: String,
    pub(crate) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    pub(crate) last_seen: Option<i64>,
}

/// `presence:online`. `status` is present unless it is plain `online`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserOnline")]
pub(crate) struct Online<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<&'a str>,
}

impl<'a> Online<'a> {
    pub(crate) fn new(user_id: &'a str, at: i64, choice: &'a Choice) -> Self {
        let status = Status::from(choice.status);
        Self {
            user_id,
            at,
            status: Some(status).filter(|status| *status != Status::Online),
            text: choice.text.as_deref(),
        }
    }
}

/// `presence:status`. `text` is `null` if the user has none.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserStatus")]
pub(crate) struct ShowsAs<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) status: Status,
    pub(crate) text: Option<&'a str>,
}

impl<'a> ShowsAs<'a> {
    pub(crate) fn new(user_id: &'a str, choice: &'a Choice) -> Self {
        Self {
            user_id,
            status: choice.status.into(),
            text: choice.text.as_deref(),
        }
    }
}

/// `presence:offline`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserOffline")]
pub(crate) struct Offline<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) last_seen: i64,
}
