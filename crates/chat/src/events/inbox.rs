//! The events that bring a returning client up to date: `chat:inbox`, `chat:sync`, `chat:unread`.

use roomful_store::{InboxCursor, LogPosition};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    fields::{EPOCH_CHARS, Fields},
    log::{LoggedChange, MessageView, PageBounds},
    shapes,
    standing::Standing,
};
use crate::{
    error::{ChatError, ErrorBody},
    types::{Limits, RoomName},
};

pub(crate) const INBOX: &str = "chat:inbox";
pub(crate) const SYNC: &str = "chat:sync";
pub(crate) const UNREAD: &str = "chat:unread";

/// The longest cursor in a payload, in characters. The server's own consist of two numbers.
const CURSOR_CHARS: usize = 64;
/// The most digits of each number. They fit every position and room id.
const CURSOR_DIGITS: usize = 18;

/// `chat:inbox {limit?, after?}`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename = "GetInbox")]
pub(crate) struct AskInbox {
    #[schemars(with = "Option<shapes::PageLimit>")]
    pub(crate) limit: u32,
    #[schemars(with = "Option<shapes::InboxCursor>")]
    pub(crate) after: Option<InboxCursor>,
}

impl AskInbox {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        let after = match fields.id("after", CURSOR_CHARS)? {
            None => None,
            Some(cursor) => match read_cursor(&cursor) {
                None => return Err(fields.wrong("after", "must be the next of an earlier answer")),
                cursor => cursor,
            },
        };
        Ok(Self {
            limit: fields.page(limits.default_page, limits.inbox_page)?.max(1),
            after,
        })
    }
}

/// The opaque cursor that clients send back as `after`.
pub(crate) fn cursor(cursor: InboxCursor) -> String {
    format!("{}.{}", cursor.position, cursor.room)
}

fn read_cursor(text: &str) -> Option<InboxCursor> {
    let (position, room) = text.split_once('.')?;
    let is_number =
        |text: &str| text.len() <= CURSOR_DIGITS && text.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(position) || !is_number(room) {
        return None;
    }
    Some(InboxCursor {
        position: LogPosition(position.parse().ok()?),
        room: room.parse().ok()?,
    })
}

/// The ack of `chat:inbox`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InboxPage<'a> {
    pub(crate) rooms: Vec<InboxRoom<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// One room of [`InboxPage`]. `last_message` is `null` if retention has removed all messages.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InboxRoom<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) epoch: &'a str,
    pub(crate) head: u64,
    pub(crate) last_message: Option<MessageView<'a>>,
    pub(crate) unread: u64,
    pub(crate) mentions: u64,
    pub(crate) read_seq: u64,
    pub(crate) delivered_seq: u64,
}

/// `chat:sync {rooms: [{room, epoch, since}]}`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename = "SyncRequest")]
pub(crate) struct Sync {
    #[schemars(extend("maxItems" = Limits::default().rooms_per_sync, "x-uniqueBy" = "room"))]
    pub(crate) rooms: Vec<SyncRoom>,
}

/// The position up to which a client knows a room's log.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename = "SyncPosition")]
pub(crate) struct SyncRoom {
    pub(crate) room: RoomName,
    #[schemars(with = "Option<shapes::Epoch>")]
    pub(crate) epoch: Option<String>,
    #[schemars(with = "Option<shapes::Position>")]
    pub(crate) since: u64,
}

impl Sync {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        let bound = limits.rooms_per_sync;
        let must = || {
            format!(
                "is required: a list of at most {bound} objects {{room, epoch, since}}, one for each room"
            )
        };
        let Some(Value::Array(items)) = fields.take("rooms") else {
            return Err(fields.wrong("rooms", &must()));
        };
        if items.len() > bound {
            return Err(fields.wrong("rooms", &must()));
        }
        let mut rooms: Vec<SyncRoom> = Vec::with_capacity(items.len());
        for item in items {
            let item = &mut Fields::of(SYNC, item)?;
            let room = item.room()?;
            if rooms.iter().any(|known| known.room == room) {
                return Err(fields.wrong("rooms", &must()));
            }
            rooms.push(SyncRoom {
                room,
                epoch: item.id("epoch", EPOCH_CHARS)?,
                since: item.number("since", 0)?.unwrap_or_default(),
            });
        }
        Ok(Self { rooms })
    }
}

/// The ack of `chat:sync`, in the order of the request.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Synced<'a> {
    pub(crate) rooms: Vec<SyncedRoom<'a>>,
}

/// One room of [`Synced`].
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum SyncedRoom<'a> {
    /// The socket is subscribed.
    Caught {
        room: &'a RoomName,
        epoch: &'a str,
        head: u64,
        messages: Vec<MessageView<'a>>,
        changes: Vec<LoggedChange<'a>>,
        #[serde(flatten)]
        bounds: PageBounds,
        reset: bool,
        #[serde(flatten)]
        standing: &'a Standing,
    },
    /// The user may not enter the room.
    Refused { room: &'a RoomName, error: ErrorBody },
}

/// `chat:unread`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RoomUnread")]
pub(crate) struct UnreadIn<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) unread: u64,
    pub(crate) mentions: u64,
    /// The number of the newest entry in the room's log.
    pub(crate) head: u64,
    /// `null` if retention has removed all messages.
    pub(crate) last_message: Option<MessageView<'a>>,
    pub(crate) cause: UnreadCause,
}

/// Why the counts of a room are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnreadCause {
    /// Somebody sent or deleted a message.
    Message,
    /// The user read on another device.
    Read,
    /// The user sent the room's newest message, on another device.
    Sent,
}
