//! What a notification says, and what came of posting it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A notification to be posted, see [`ChatServer::notify`](crate::ChatServer::notify).
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// Whom it goes to: 1 to [`Limits::notification_users`](crate::Limits::notification_users) ids. Repeats count once.
    pub user_ids: Vec<String>,
    /// What sort of notification it is, in the app's own words: 1 to 64 characters.
    pub kind: String,
    /// A line for people, 256 characters at most.
    pub title: String,
    /// More for people, [`Limits::notification_body_bytes`](crate::Limits::notification_body_bytes) at most.
    pub body: String,
    /// The app's own data, [`Limits::notification_data_bytes`](crate::Limits::notification_data_bytes) of JSON at most.
    pub data: Option<Value>,
    /// The poster's id for it, 1 to 128 characters: a second post under the same id gets the first one's answer. One
    /// is made if there is none.
    pub id: Option<String>,
}

/// A posted notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notified {
    /// Its id: the one given, or the one made for it.
    pub id: String,
    /// When it was posted, in milliseconds since 1970.
    pub at: i64,
    /// Whether it had been posted before under this id; then nothing was sent or stored anew.
    pub duplicate: bool,
}

/// The content of a notification. Its JSON is what the store keeps, and what a retry is compared to: the same content
/// is always the same text, for the fields stand in this order and the keys within `data` are sorted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) data: Option<Value>,
}
