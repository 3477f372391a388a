//! The values of notifications that go into a store and come out of it. Times are milliseconds since 1970.
//!
//! A notification is stored once. Each user it goes to has a row of their own, under a number of their own: dense from
//! 1 in the order of posting. So what a device has been given is one mark, as in a room's log.

/// A notification to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// Unique for as long as it is kept. A second post under the same id is a retry.
    pub id: String,
    /// Whom it goes to. Repeats count once. No id contains a line break.
    pub users: Vec<String>,
    /// JSON text. The store compares it, but does not read it.
    pub body: String,
    /// When it was posted.
    pub at: i64,
}

/// What became of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// It is stored.
    New {
        /// The users it went to, each with the number it has there.
        places: Vec<(String, u64)>,
    },
    /// It was posted before, under the same id, to the same users and with the same body.
    Duplicate {
        /// The time it got then.
        at: i64,
        /// The users who still have it, each with the number it has there.
        places: Vec<(String, u64)>,
    },
    /// The id stands for a notification to other users or with another body. Nothing was changed.
    Conflict,
}

/// A notification as one of its users has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its number with this user, from 1.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// JSON text, exactly as posted.
    pub body: String,
    /// When it was posted.
    pub at: i64,
    /// When this user read it.
    pub read_at: Option<i64>,
}

/// Which of a user's notifications to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationPage {
    /// Only those older than the one with this id.
    pub before: Option<String>,
    /// Only those that were not read.
    pub unread_only: bool,
    /// How many at most. A page may be shorter, see [`Options::page_bytes`](crate::Options::page_bytes).
    pub limit: u32,
}

/// A page of a user's notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationList {
    /// Newest first.
    pub notifications: Vec<Notification>,
    /// Whether there are older ones of the kind asked for.
    pub more: bool,
    /// How many of all the user's notifications are unread.
    pub unread: u64,
}

/// Which notifications a user has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadWhich {
    /// The one with this id.
    One(String),
    /// All of them.
    All,
}

/// The answer to reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotificationsRead {
    /// How many are unread now.
    pub unread: u64,
    /// Whether this call made a difference.
    pub changed: bool,
}

/// What a device of a user has not been given yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The kept notifications beyond what was asked for, oldest first.
    pub notifications: Vec<Notification>,
    /// Whether there are more.
    pub more: bool,
    /// The number of the last one that this answer covers: the last of the page, or the user's newest if there is no
    /// more. What lies below it and is not in the page is gone for good.
    pub upto: u64,
}

/// From where on to look for what a device was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveredUpto {
    /// From the device's stored mark; 0 for a device that has none.
    Stored,
    /// From this number, exclusive.
    Seq(u64),
}

/// A device was given all notifications up to and including a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredMark {
    /// Whose device.
    pub user_id: String,
    /// The device's name among the user's.
    pub device: String,
    /// The number. A mark never goes back.
    pub seq: u64,
}

/// How much is kept of notifications. What exceeds a limit goes, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotificationRetention {
    /// Notifications per user, at least 1.
    pub max_per_user: u64,
    /// Milliseconds. Only [`Store::trim_notifications`](crate::Store::trim_notifications) looks at it.
    pub max_age_ms: i64,
    /// Devices per user whose marks are kept, at least 1; those that were given nothing for longest go. A device whose
    /// mark is gone is as good as new.
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
