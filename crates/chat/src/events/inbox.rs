//! What a client needs that was away: all its rooms at once, and what it missed in them.

use roomful_store::InboxCursor;
use serde::Serialize;
use serde_json::Value;

use super::{
    fields::Fields,
    log::{LoggedChange, MessageView},
};
use crate::{
    error::{ChatError, ErrorBody},
    types::{Limits, RoomName},
};

pub(crate) const INBOX: &str = "chat:inbox";
pub(crate) const SYNC: &str = "chat:sync";
pub(crate) const UNREAD: &str = "chat:unread";

/// The longest epoch a client may name, in characters. Ours are 16.
pub(super) const EPOCH_CHARS: usize = 64;
/// The longest cursor, in characters. Ours are two numbers.
const CURSOR_CHARS: usize = 64;

/// `chat:inbox {limit?, after?}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AskInbox {
    pub(crate) limit: u32,
    pub(crate) after: Option<InboxCursor>,
}

impl AskInbox {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        let after = match fields.text("after", CURSOR_CHARS)? {
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

/// A cursor as clients carry it: they are not to read it.
pub(crate) fn cursor(cursor: InboxCursor) -> String {
    format!("{}.{}", cursor.active_at, cursor.room)
}

fn read_cursor(text: &str) -> Option<InboxCursor> {
    let (active_at, room) = text.split_once('.')?;
    Some(InboxCursor {
        active_at: active_at.parse().ok()?,
        room: room.parse().ok()?,
    })
}

/// The ack of `chat:inbox`.
#[derive(Debug, Serialize)]
pub(crate) struct InboxPage<'a> {
    pub(crate) rooms: Vec<InboxRoom<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// One line of [`InboxPage`]. `last_message` is `null` if none is kept.
#[derive(Debug, Serialize)]
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
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sync {
    pub(crate) rooms: Vec<SyncRoom>,
}

/// Up to where a client knows a room's log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SyncRoom {
    pub(crate) room: RoomName,
    pub(crate) epoch: Option<String>,
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
                epoch: item.text("epoch", EPOCH_CHARS)?,
                since: item.number("since", 0)?.unwrap_or_default(),
            });
        }
        Ok(Self { rooms })
    }
}

/// The ack of `chat:sync`, in the order asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Synced<'a> {
    pub(crate) rooms: Vec<SyncedRoom<'a>>,
}

/// One line of [`Synced`].
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum SyncedRoom<'a> {
    /// The socket is subscribed.
    Caught {
        room: &'a RoomName,
        epoch: &'a str,
        head: u64,
        messages: Vec<MessageView<'a>>,
        changes: Vec<LoggedChange<'a>>,
        more: bool,
        reset: bool,
    },
    /// It is not.
    Refused { room: &'a RoomName, error: ErrorBody },
}

/// `chat:unread`.
#[derive(Debug, Serialize)]
pub(crate) struct UnreadIn<'a> {
    pub(crate) room: &'a RoomName,
    pub(crate) unread: u64,
    pub(crate) mentions: u64,
}
