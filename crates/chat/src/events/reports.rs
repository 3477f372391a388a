//! The event `chat:report`, by which a member brings a message to the attention of moderators.

use schemars::JsonSchema;
use serde::Serialize;

use super::{fields::Fields, shapes};
use crate::{
    error::ChatError,
    types::{Limits, RoomName, names::REPORT_REASON_CHARS},
};

pub(crate) const REPORT: &str = "chat:report";

/// `chat:report {room, seq, reason, text?}`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
pub(crate) struct ReportMessage {
    pub(crate) room: RoomName,
    /// The message.
    #[schemars(with = "shapes::Seq")]
    pub(crate) seq: u64,
    #[schemars(with = "shapes::ReportReason")]
    pub(crate) reason: String,
    /// What the user says about it.
    #[schemars(with = "Option<shapes::Reason>")]
    pub(crate) text: Option<String>,
}

impl ReportMessage {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        let room = fields.room()?;
        let seq = fields.seq("the seq of the message")?;
        let Some(reason) = fields.id("reason", REPORT_REASON_CHARS)? else {
            return Err(fields.wrong("reason", "is required: a string such as \"spam\""));
        };
        Ok(Self {
            room,
            seq,
            reason,
            text: fields.short_text("text", limits.reason_chars)?,
        })
    }
}

/// The ack of `chat:report`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ReportedMessage {
    /// The id of the report; of the first one, if the user has reported the message before.
    pub(crate) id: i64,
}
