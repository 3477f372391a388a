//! Every setting of chat and presence, with its default.

use std::sync::Arc;

use crate::{
    content_rules::ContentRules,
    error::ChatError,
    hooks::Hooks,
    middleware::{
        auth::{KeyTable, TokenTimes},
        rate_limit::RateLimits,
    },
    types::{Limits, RoomPattern, Visibility},
    typing::tracker::TypingLimits,
};

/// The settings. All times are milliseconds.
#[derive(Debug, Clone)]
pub struct ChatConfig {
    /// The keys that verify tokens. Empty by default: the server then refuses every token.
    pub keys: KeyTable,
    /// How long a live socket keeps working after its token's `exp`, so that it can refresh. New connections
    /// get no such leeway.
    pub token_leeway_ms: i64,
    /// How far the issuer's clock may be ahead of ours (`nbf`, `iat`).
    pub clock_skew_ms: i64,
    /// The longest time to the `exp` of a token.
    pub max_token_lifetime_ms: i64,
    /// How long before the end of its token a client gets `token:expiring`, in milliseconds; at half of the
    /// time that is left if that is shorter. 0 sends none.
    pub expiry_notice_ms: i64,
    /// How many users' profiles the server keeps in memory.
    pub profiles_cached: usize,
    /// Bounds on the payload of one event.
    pub limits: Limits,
    /// Rate limits.
    pub rates: RateLimits,
    /// How often the server broadcasts that a user types, and after which time the user shows as stopped.
    pub typing: TypingLimits,
    /// How long a user stays online after their last session ends.
    pub presence_grace_ms: i64,
    /// Rooms with more subscribed sockets than this send no `presence:online`, `presence:offline`,
    /// `chat:member_joined` or `chat:member_left`. Rooms with more users online than this send no
    /// `chat:unread`. Without this bound the cost of a mass reconnect grows with the square of the room's
    /// size. `chat:get_online_users` still answers who is online.
    pub announce_max: usize,
    /// How many rooms a user may be a member of. The server refuses further joins with `quota_exceeded`.
    /// Every one of these rooms counts: the user is online there and gets its `chat:unread`, subscribed or
    /// not.
    pub rooms_per_user: u32,
    /// Room names that no join creates, whatever [`ChatConfig::create_rooms`] says. The backend can create
    /// them.
    pub reserved_rooms: Box<[RoomPattern]>,
    /// Whether messages from before a user's first join of a room count as read. If false, everything that
    /// the room keeps is unread for a newcomer.
    pub newcomers_start_read: bool,
    /// Who sees the presence of a user; a token may say otherwise for its own user.
    pub presence_visible_to: Visibility,
    /// Whether the first join of a room creates it. If false, clients can join only rooms that the store has.
    pub create_rooms: bool,
    /// Minimum time between two `chat:unread` updates of a room.
    pub unread_interval_ms: i64,
    /// Bytes of entries after which a `chat:sync` answers the remaining rooms with empty pages. One page may
    /// exceed it.
    pub sync_bytes: usize,
    /// How many sends of one connection may wait for their commit. The connection's next event waits beyond
    /// that.
    pub sends_in_flight: u32,
    /// How many messages posted from within the process ([`ChatServer::post`](crate::ChatServer::post)) may
    /// wait for their commit. Further posts wait for a permit.
    pub posts_in_flight: u32,
    /// How many sends may wait in one room. The server refuses further ones with `unavailable`.
    pub room_queue: usize,
    /// How many sends may wait in all rooms together. The server refuses further ones with `unavailable`.
    pub server_queue: u32,
    /// How many events may wait for one socket while a join reads history. A join that exceeds it fails with
    /// `unavailable`.
    pub join_buffer: usize,
    /// Connection state recovery.
    pub recovery: RecoveryConfig,
    /// How many notifications may wait for their commit. The server refuses further ones with `unavailable`.
    pub notices_in_flight: u32,
    /// How many disconnected devices may have an unsaved delivered mark while the store fails. Beyond that
    /// the server drops marks, and those devices may get the same notifications again.
    pub unsaved_marks: usize,
    /// Whether the store keeps the earlier texts of edited messages until they are deleted. If not, each
    /// edit erases them.
    pub keep_edits: bool,
    /// The app's decision before messages, joins and connections (none).
    pub hooks: Option<Arc<dyn Hooks>>,
    /// Rules on the texts of messages (none).
    pub content_rules: ContentRules,
    /// Of how many connections one is logged when it starts and ends: 1 logs all of them, 0 none.
    pub log_connections: u64,
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self {
            keys: KeyTable::default(),
            token_leeway_ms: 5_000,
            clock_skew_ms: 10_000,
            max_token_lifetime_ms: 366 * 24 * 3_600_000,
            expiry_notice_ms: 30_000,
            profiles_cached: 10_000,
            limits: Limits::default(),
            rates: RateLimits::default(),
            typing: TypingLimits::default(),
            presence_grace_ms: 5_000,
            announce_max: 500,
            rooms_per_user: 10_000,
            reserved_rooms: Box::default(),
            newcomers_start_read: false,
            presence_visible_to: Visibility::SharedRooms,
            create_rooms: true,
            unread_interval_ms: 1_000,
            sync_bytes: 64 * 1024,
            sends_in_flight: 32,
            posts_in_flight: 256,
            room_queue: 1_024,
            server_queue: 16_384,
            join_buffer: 512,
            recovery: RecoveryConfig::default(),
            notices_in_flight: 256,
            unsaved_marks: 65_536,
            keep_edits: false,
            hooks: None,
            content_rules: ContentRules::default(),
            log_connections: 1,
        }
    }
}

impl ChatConfig {
    /// The defaults, with one HS256 secret that verifies tokens. A token is a JWT with `sub`, the user's id,
    /// and `exp`.
    ///
    /// # Errors
    /// [`ChatError::BadKey`] if the secret is shorter than 32 bytes.
    pub fn with_secret(secret: &[u8]) -> Result<Self, ChatError> {
        Ok(ChatConfig {
            keys: KeyTable::hs256(secret)?,
            ..ChatConfig::default()
        })
    }

    /// Whether a join may create a room of this name.
    pub(crate) fn may_create(&self, room: &str) -> bool {
        self.create_rooms && !self.reserved_rooms.iter().any(|pattern| pattern.matches(room))
    }

    /// The limits on a token's times.
    pub(crate) const fn token_times(&self) -> TokenTimes {
        TokenTimes {
            clock_skew_ms: self.clock_skew_ms,
            max_lifetime_ms: self.max_token_lifetime_ms,
        }
    }
}

/// Bounds of connection state recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryConfig {
    /// How long after its loss a connection can be recovered, in milliseconds. 0 turns recovery off: clients
    /// get no private id, and events carry no offsets.
    pub window_ms: i64,
    /// The most missed events that a recovery replays. A client that missed more starts a new session and
    /// syncs.
    pub max_events: usize,
    /// The most bytes of missed event bodies that a recovery replays.
    pub max_bytes: usize,
    /// How many lost connections the store keeps for each user. It forgets the oldest ones beyond that.
    pub lost_per_user: u32,
    /// How many recoveries run at the same time, at least 1. Further ones wait, which bounds the memory of a
    /// mass reconnect.
    pub concurrency: usize,
}

impl RecoveryConfig {
    /// Whether recovery is on.
    pub const fn is_on(&self) -> bool {
        self.window_ms > 0
    }
}

impl Default for RecoveryConfig {
    fn default() -> Self {
        Self {
            window_ms: 120_000,
            max_events: 500,
            max_bytes: 128 * 1024,
            lost_per_user: 20,
            // The store batches this many into a few calls.
            concurrency: 512,
        }
    }
}
