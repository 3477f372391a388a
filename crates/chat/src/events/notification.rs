//! The `notification:*` events.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::{fields::Fields, shapes};
use crate::{
    error::ChatError,
    types::{Limits, Notice, names::NOTIFICATION_ID_CHARS},
};

pub(crate) const RECEIVE: &str = "notification:receive";
pub(crate) const LIST: &str = "notification:list";
pub(crate) const READ: &str = "notification:read";
pub(crate) const UNREAD: &str = "notification:unread";

/// `notification:list {limit?, before?, unreadOnly?}`. Without a payload, the newest ones.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename = "ListNotifications", rename_all = "camelCase")]
pub(crate) struct List {
    #[schemars(with = "Option<shapes::PageLimit>")]
    pub(crate) limit: u32,
    /// The id of a notification; the page lists only older ones.
    #[schemars(with = "Option<shapes::NotificationId>")]
    pub(crate) before: Option<String>,
    #[schemars(with = "Option<bool>")]
    pub(crate) unread_only: bool,
}

impl List {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        Ok(Self {
            limit: fields.page(limits.default_page, limits.max_page)?,
            before: fields.id("before", NOTIFICATION_ID_CHARS)?,
            unread_only: fields.flag("unreadOnly")?,
        })
    }
}

/// `notification:read`: `{id}`, or `{all: true}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ReadWhich {
    One(String),
    All,
}

impl JsonSchema for ReadWhich {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ReadNotification".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let id = generator.subschema_for::<shapes::NotificationId>();
        json_schema!({
            "description": "Which notifications are read: one, or all.",
            "anyOf": [
                {
                    "type": "object",
                    "properties": { "id": id, "all": { "enum": [false, null] } },
                    "required": ["id"],
                },
                {
                    "type": "object",
                    "properties": { "id": { "type": "null" }, "all": { "const": true } },
                    "required": ["all"],
                },
            ],
        })
    }
}

impl ReadWhich {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, ChatError> {
        match (fields.id("id", NOTIFICATION_ID_CHARS)?, fields.flag("all")?) {
            (Some(id), false) => Ok(Self::One(id)),
            (None, true) => Ok(Self::All),
            _ => Err(fields.wrong("id", "is required, or else all: true")),
        }
    }
}

/// A notification as clients see it, in `notification:receive` and in pages.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Notification")]
pub(crate) struct NotificationView<'a> {
    pub(crate) id: &'a str,
    #[serde(flatten)]
    pub(crate) notice: std::borrow::Cow<'a, Notice>,
    pub(crate) at: i64,
    /// When the user read it on some device; absent while unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) read_at: Option<i64>,
}

/// The ack of `notification:list`, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NotificationPage")]
pub(crate) struct Listed<'a> {
    pub(crate) notifications: Vec<NotificationView<'a>>,
    pub(crate) unread: u64,
    pub(crate) more: bool,
}

/// The ack of `notification:read`, and `notification:unread`.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[schemars(rename = "UnreadNotifications")]
pub(crate) struct Unread {
    pub(crate) unread: u64,
}
