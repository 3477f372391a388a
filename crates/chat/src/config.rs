//! Every setting of chat and presence, with the contract's defaults.

use crate::{
    middleware::{auth::KeyTable, rate_limit::RateLimits},
    types::Limits,
    typing::tracker::TypingLimits,
};

/// The settings. All times are milliseconds.
#[derive(Debug, Clone)]
pub struct ChatConfig {
    /// The keys that tokens are verified with. Empty by default: nobody gets in until there is one.
    pub keys: KeyTable,
    /// How long a live socket may go on after its token's `exp`, so that it can refresh. Connecting knows no leeway.
    pub token_leeway_ms: i64,
    /// How far the issuer's clock may be ahead (`nbf`, `iat`).
    pub clock_skew_ms: i64,
    /// What one event may carry.
    pub limits: Limits,
    /// What a client may do per second.
    pub rates: RateLimits,
    /// When typing is passed on and ends.
    pub typing: TypingLimits,
    /// How long a user stays online after their last session.
    pub presence_grace_ms: i64,
    /// Rooms with more subscribed sockets than this announce no single user (`presence:online`, `presence:offline`,
    /// `chat:member_joined`, `chat:member_left`), and those with more users online send no `chat:unread`: when all come at once, the cost would grow with their square. Who is
    /// online there is answered by `chat:get_online_users`.
    pub announce_max: usize,
    /// The rooms in which a user is online although not subscribed: the latest they joined, at most so many.
    pub rooms_of_user: u32,
    /// Whether the first join of a room creates it. If not, only rooms that the store knows can be joined.
    pub create_rooms: bool,
    /// A room's `chat:unread` is counted and sent at most this often.
    pub unread_interval_ms: i64,
    /// Bytes after which one `chat:sync` answers with empty pages. What it may reach beyond is one page of the store.
    pub sync_bytes: usize,
    /// The sends of one connection that may wait for their commit; more wait their turn.
    pub sends_in_flight: u32,
    /// The messages posted from within the process ([`ChatServer::post`](crate::ChatServer::post)) that may wait for
    /// their commit; more wait their turn.
    pub posts_in_flight: u32,
    /// The sends that may wait in one room; more are refused as `unavailable`.
    pub room_queue: usize,
    /// The sends that may wait in all rooms; more are refused as `unavailable`.
    pub server_queue: u32,
    /// The events that may wait for one socket while it joins and its history is read; a join that takes longer is
    /// refused as `unavailable`.
    pub join_buffer: usize,
    /// What is remembered of lost connections.
    pub recovery: RecoveryConfig,
    /// The notifications that may wait for their commit; more are refused as `unavailable`.
    pub notices_in_flight: u32,
    /// The devices whose delivered mark may wait to be saved after their last socket is gone; beyond, while the store
    /// fails, a mark is forgotten, and its device may be given the same notifications again.
    pub unsaved_marks: usize,
    /// Of how many connections one is logged when it starts and ends: 1 logs all of them, 0 none.
    pub log_connections: u64,
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self {
            keys: KeyTable::default(),
            token_leeway_ms: 5_000,
            clock_skew_ms: 10_000,
            limits: Limits::default(),
            rates: RateLimits::default(),
            typing: TypingLimits::default(),
            presence_grace_ms: 5_000,
            announce_max: 500,
            rooms_of_user: 200,
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
            log_connections: 1,
        }
    }
}

/// What is remembered of lost connections, so that they may be taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryConfig {
    /// How long after it was lost a connection may be taken up again, in milliseconds. 0 turns recovery off: clients get
    /// no private id, and events carry no offsets.
    pub window_ms: i64,
    /// The most events that are sent to a client that comes back. Who missed more starts anew, and syncs.
    pub max_events: usize,
    /// The most bytes of their bodies.
    pub max_bytes: usize,
    /// The lost connections of one user that are remembered; beyond, the oldest are forgotten.
    pub lost_per_user: u32,
    /// Sessions that are given back at a time, at least 1. A crowd that comes back waits its turn, so that its memory does not
    /// grow with it.
    pub concurrency: usize,
}

impl RecoveryConfig {
    /// Whether connections may be taken up again at all.
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
            // The store answers so many within few calls.
            concurrency: 512,
        }
    }
}
