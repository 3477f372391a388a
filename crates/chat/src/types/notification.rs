//! The content of a notification, and the result of posting one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A notification to post, see [`ChatServer::notify`](crate::ChatServer::notify).
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// The recipients: 1 to [`Limits::notification_users`](crate::Limits::notification_users) ids. Duplicates
    /// count once.
    pub user_ids: Vec<String>,
    /// The app's own category, 1 to 64 characters.
    pub kind: String,
    /// The title, at most 256 characters.
    pub title: String,
    /// The body, at most [`Limits::notification_body_bytes`](crate::Limits::notification_body_bytes) bytes.
    pub body: String,
    /// The app's own data, at most
    /// [`Limits::notification_data_bytes`](crate::Limits::notification_data_bytes) bytes of JSON.
    pub data: Option<Value>,
    /// An idempotency key of 1 to 128 characters: a second post with the same id gets the first one's result.
    /// The server makes one if absent.
    pub id: Option<String>,
    /// The user whose act it announces. Recipients who have blocked them get no copy.
    pub from: Option<String>,
}

/// A posted notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notified {
    /// Its id: the given one, or the one the server made.
    pub id: String,
    /// The time of the post, in milliseconds since 1970.
    pub at: i64,
    /// Whether an earlier post had this id. If so, the server sent and stored nothing.
    pub duplicate: bool,
}

/// The content of a notification. The store keeps its JSON and compares it with that of a retry, so equal
/// content serialises to the same text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Notice {
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) data: Option<Value>,
}
