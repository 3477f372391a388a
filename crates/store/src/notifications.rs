//! Values of notifications. Times are milliseconds since 1970.
//!
//! The store keeps a notification once. Each recipient has a row with a number, dense from 1 in the order
//! of posting, so that one mark says what a device has received, as in a room's log.

/// A notification to post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// Unique for as long as it is kept. A second post under the same id is a retry.
    pub id: String,
    /// The recipients. Repeats count once. Ids contain no line break.
    pub users: Vec<String>,
    /// JSON text, which the store compares but does not parse.
    pub body: String,
    /// Time of the post.
    pub at: i64,
    /// The user whose act it announces. Recipients who have blocked them get no copy.
    pub from: Option<String>,
}

/// Outcome of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// The notification is stored.
    New {
        /// The recipients, each with their number for it.
        places: Vec<(String, u64)>,
    },
    /// The same id was posted before, to the same users and with the same body.
    Duplicate {
        /// Time of the first post.
        at: i64,
        /// The recipients who still have it, each with their number for it.
        places: Vec<(String, u64)>,
    },
    /// The id belongs to a notification with other users or another body. Nothing changed.
    Conflict,
}

/// A recipient's copy of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its number with this recipient, from 1.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// JSON text, exactly as posted.
    pub body: String,
    /// When it was posted.
    pub at: i64,
    /// When the recipient read it.
    pub read_at: Option<i64>,
}

/// Which of a user's notifications to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationPage {
    /// Only notifications older than the one with this id.
    pub before: Option<String>,
    /// Only unread notifications.
    pub unread_only: bool,
    /// Maximum number. A page may be shorter, see [`Options::page_bytes`](crate::Options::page_bytes).
    pub limit: u32,
}

/// A page of a user's notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationList {
    /// Newest first.
    pub notifications: Vec<Notification>,
    /// Whether there are older notifications of the requested kind.
    pub more: bool,
    /// Number of unread notifications among all of the user's.
    pub unread: u64,
}

/// Which notifications a user has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadWhich {
    /// The notification with this id.
    One(String),
    /// All notifications.
    All,
}

/// Outcome of reading notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotificationsRead {
    /// Number of unread notifications now.
    pub unread: u64,
    /// Whether this call changed anything.
    pub changed: bool,
}

/// Notifications that a device has not received yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The stored notifications after the requested number, oldest first.
    pub notifications: Vec<Notification>,
    /// Whether there are more.
    pub more: bool,
    /// The last number that this answer covers: that of the page's last notification, or the user's newest
    /// if there are no more. Lower numbers that the page lacks are no longer stored.
    pub upto: u64,
}

/// Where a query for undelivered notifications starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveredUpto {
    /// After the device's stored mark; at 0 without one.
    Stored,
    /// After this number.
    Seq(u64),
}

/// Records that a device has received all notifications up to and including a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredMark {
    /// The user.
    pub user_id: String,
    /// Name of the device, unique for the user.
    pub device: String,
    /// The number. A mark never moves back.
    pub seq: u64,
}

/// Retention of notifications. The store removes those beyond a limit, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotificationRetention {
    /// Notifications per user, at least 1.
    pub max_per_user: u64,
    /// Age in milliseconds. Only [`Store::trim_notifications`](crate::Store::trim_notifications) applies it.
    pub max_age_ms: i64,
    /// Devices per user whose marks are stored, at least 1. The least recently used ones are removed first
    /// and then count as new devices.
    pub devices_per_user: u32,
}

impl Default for NotificationRetention {
    fn default() -> Self {
        Self {
            max_per_user: 1_000,
            max_age_ms: 90 * 24 * 3_600_000,
            devices_per_user: 50,
        }
    }
}
