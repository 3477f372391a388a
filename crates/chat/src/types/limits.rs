//! Bounds on the payload of one event. The rate limits bound events per second.

/// Bounds on the parts of a payload and of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest `text`, in bytes of UTF-8.
    pub text_bytes: usize,
    /// The longest `clientId`, in characters.
    pub client_id_chars: usize,
    /// The most `mentions`.
    pub mentions: usize,
    /// The largest `metadata`, in bytes of its canonical JSON.
    pub metadata_bytes: usize,
    /// The messages of a page if the client names no limit.
    pub default_page: u32,
    /// The most messages of a page. A larger `limit` counts as this.
    pub max_page: u32,
    /// The most rooms of a page of `chat:inbox`. A larger `limit` counts as this.
    pub inbox_page: u32,
    /// The most rooms in one `chat:sync`.
    pub rooms_per_sync: usize,
    /// The most users in one `presence:subscribe` or `presence:unsubscribe`.
    pub users_per_subscribe: usize,
    /// The most users that a socket may be subscribed to at the same time.
    pub watched_per_socket: usize,
    /// The longest `text` of a status, in characters.
    pub status_text_chars: usize,
    /// The most rooms that a socket may be subscribed to at the same time.
    pub rooms_per_socket: usize,
    /// The most users that `chat:get_online_users` lists.
    pub online_users: usize,
    /// The largest such list, in bytes of names and ids. A socket's outgoing buffer must hold it twice and
    /// more.
    pub online_bytes: usize,
    /// The most recipients of one notification.
    pub notification_users: usize,
    /// The longest `body` of a notification, in bytes of UTF-8.
    pub notification_body_bytes: usize,
    /// The largest `data` of a notification, in bytes of its JSON.
    pub notification_data_bytes: usize,
    /// The longest `reason` of a ban or a mute, and `text` of a report, in characters.
    pub reason_chars: usize,
    /// The longest slow mode, in seconds.
    pub slow_mode_seconds: u64,
    /// The most users whom one user may block.
    pub blocks_per_user: u32,
    /// The most messages that one user may report within 24 hours.
    pub reports_per_day: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_bytes: 16 * 1024,
            client_id_chars: 64,
            mentions: 50,
            metadata_bytes: 4 * 1024,
            default_page: 50,
            max_page: 200,
            inbox_page: 100,
            rooms_per_sync: 200,
            users_per_subscribe: 200,
            watched_per_socket: 1_000,
            status_text_chars: 100,
            rooms_per_socket: 200,
            online_users: 1_000,
            online_bytes: 64 * 1024,
            notification_users: 1_000,
            notification_body_bytes: 4 * 1024,
            notification_data_bytes: 4 * 1024,
            reason_chars: 500,
            slow_mode_seconds: 24 * 3_600,
            blocks_per_user: 1_000,
            reports_per_day: 50,
        }
    }
}
