//! The events of moderation: `chat:moderate` from moderators, `chat:moderation` to those concerned.

use std::borrow::Cow;

use roomful_store::SanctionKind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{fields::Fields, shapes};
use crate::{
    error::ChatError,
    types::{Limits, RoomName, names::check_user_id},
};

pub(crate) const MODERATE: &str = "chat:moderate";
pub(crate) const MODERATION: &str = "chat:moderation";

/// What a moderator does. Nodes tell it each other by these names, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ModerationAction {
    /// Ends the user's membership and keeps them out.
    Ban,
    /// Lets a banned user join again.
    Unban,
    /// Keeps the user from sending, editing and reacting.
    Mute,
    /// Lets a muted user write again.
    Unmute,
    /// Changes the time between two messages of one user.
    SlowMode,
    /// Keeps all but moderators from sending, editing and reacting.
    Freeze,
    /// Lets everybody write again.
    Unfreeze,
    /// Deletes the user's messages in the room.
    DeleteMessages,
}

impl ModerationAction {
    /// Every action with its name, in declaration order.
    pub(crate) const ALL: [(&'static str, Self); 8] = [
        ("ban", Self::Ban),
        ("unban", Self::Unban),
        ("mute", Self::Mute),
        ("unmute", Self::Unmute),
        ("slow_mode", Self::SlowMode),
        ("freeze", Self::Freeze),
        ("unfreeze", Self::Unfreeze),
        ("delete_messages", Self::DeleteMessages),
    ];

    fn of(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find_map(|(known, action)| (known == name).then_some(action))
    }

    /// The action that imposes or lifts a sanction.
    pub(crate) const fn of_sanction(kind: SanctionKind, lifts: bool) -> Self {
        match (kind, lifts) {
            (SanctionKind::Ban, false) => Self::Ban,
            (SanctionKind::Ban, true) => Self::Unban,
            (SanctionKind::Mute, false) => Self::Mute,
            (SanctionKind::Mute, true) => Self::Unmute,
        }
    }

    /// Whether it concerns one user.
    pub(crate) const fn takes_a_user(self) -> bool {
        !matches!(self, Self::SlowMode | Self::Freeze | Self::Unfreeze)
    }
}

/// `chat:moderate {room, action, userId?, until?, reason?, seconds?}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moderate {
    pub(crate) room: RoomName,
    pub(crate) action: ModerationAction,
    pub(crate) user_id: Option<String>,
    pub(crate) until: Option<i64>,
    pub(crate) reason: Option<String>,
    /// For `slow_mode`: seconds between two messages of one user; 0 ends it.
    pub(crate) seconds: Option<u64>,
}

impl Moderate {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        let room = fields.room()?;
        let action = match fields.take("action") {
            Some(Value::String(name)) => ModerationAction::of(&name),
            _ => None,
        };
        let action = action.ok_or_else(|| {
            let names = ModerationAction::ALL.map(|(name, _)| name).join(", ");
            fields.wrong("action", &format!("must be one of {names}"))
        })?;
        let user_id = match fields.take("userId") {
            None => None,
            Some(Value::String(id)) if check_user_id(&id).is_ok() => Some(id),
            Some(_) => return Err(fields.wrong("userId", "must be a user id")),
        };
        if action.takes_a_user() != user_id.is_some() {
            let must = if action.takes_a_user() {
                "is required for this action"
            } else {
                "does not go with this action; leave it out"
            };
            return Err(fields.wrong("userId", must));
        }
        let until = fields
            .number("until", 1)?
            .and_then(|until| i64::try_from(until).ok());
        if until.is_some() && !matches!(action, ModerationAction::Ban | ModerationAction::Mute) {
            return Err(fields.wrong("until", "goes with ban and mute only; leave it out"));
        }
        let seconds = fields.number("seconds", 0)?;
        if seconds.is_some() != (action == ModerationAction::SlowMode) {
            return Err(fields.wrong(
                "seconds",
                "is required for slow_mode, and goes with no other action",
            ));
        }
        Ok(Self {
            room,
            action,
            user_id,
            until,
            reason: fields.short_text("reason", limits.reason_chars)?,
            seconds,
        })
    }
}

/// Which fields go with which action.
impl JsonSchema for Moderate {
    fn schema_name() -> Cow<'static, str> {
        "Moderate".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (room, user) = (
            generator.subschema_for::<RoomName>(),
            generator.subschema_for::<shapes::UserId>(),
        );
        let reason = generator.subschema_for::<Option<shapes::Reason>>();
        let until = generator.subschema_for::<Option<shapes::Time>>();
        let seconds = generator.subschema_for::<shapes::Seconds>();
        let nothing = json_schema!({ "type": "null" });
        json_schema!({
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "room": room, "action": { "enum": ["ban", "mute"] }, "userId": user,
                        "until": until, "reason": reason, "seconds": nothing
                    },
                    "required": ["room", "action", "userId"]
                },
                {
                    "type": "object",
                    "properties": {
                        "room": room, "action": { "enum": ["unban", "unmute", "delete_messages"] },
                        "userId": user, "until": nothing, "reason": reason, "seconds": nothing
                    },
                    "required": ["room", "action", "userId"]
                },
                {
                    "type": "object",
                    "properties": {
                        "room": room, "action": { "const": "slow_mode" }, "userId": nothing,
                        "until": nothing, "reason": reason, "seconds": seconds
                    },
                    "required": ["room", "action", "seconds"]
                },
                {
                    "type": "object",
                    "properties": {
                        "room": room, "action": { "enum": ["freeze", "unfreeze"] }, "userId": nothing,
                        "until": nothing, "reason": reason, "seconds": nothing
                    },
                    "required": ["room", "action"]
                }
            ]
        })
    }
}

/// The ack of `chat:moderate`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Moderated<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) action: ModerationAction,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<i64>,
    /// For `delete_messages`: the number of messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deleted: Option<u64>,
}

/// `chat:moderation`: to the room's moderators and to the user concerned; about the room as a whole, to all
/// its sockets. Without `room` it holds in all rooms.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Moderation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<String>,
    pub(crate) action: ModerationAction,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<u64>,
}

/// A [`Moderation`] as nodes tell it to each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Announcement {
    #[serde(flatten)]
    pub(crate) event: Moderation,
    /// True if the user concerned gets the event. Users get no events of rooms that they cannot see.
    pub(crate) to_user: bool,
}
