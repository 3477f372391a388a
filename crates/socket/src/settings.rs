//! Limits and deadlines of the transport, with the defaults of Socket.IO where it has them.

use std::time::Duration;

use roomful_wire::{engine::session::HeartbeatTiming, parser};

use crate::cookie::SessionCookie;

/// Limits and deadlines of a server. The builder has a method for each.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Ping interval and pong timeout (25 s and 20 s).
    pub heartbeat: HeartbeatTiming,
    /// Largest message and POST body in bytes (1,000,000). The client learns it as `maxPayload`.
    pub max_payload: usize,
    /// Largest message and POST body of a client that is in no namespace yet, in bytes (16 KiB). Its token
    /// must fit.
    pub max_early_payload: usize,
    /// How long one WebSocket message may take to arrive (30 s).
    pub message_timeout: Duration,
    /// How long a probing WebSocket may take (10 s).
    pub upgrade_timeout: Duration,
    /// How long a client may take to join its first namespace (45 s).
    pub connect_timeout: Duration,
    /// How long a POST body may take to arrive (20 s).
    pub body_timeout: Duration,
    /// How long each step of closing a connection may take: flushing, the answer of the client, its own end
    /// (2 s).
    pub linger: Duration,
    /// Capacity of a client's outbox in bytes (256 KiB).
    pub outbox_bytes: usize,
    /// Capacity of a client's outbox in frames (1,024).
    pub outbox_frames: usize,
    /// Queued events of one connection at which reading pauses (64).
    pub inbox_events: usize,
    /// Attachments of one packet (10).
    pub max_attachments: usize,
    /// Fragments of one WebSocket message (1,024).
    pub max_fragments: u32,
    /// Namespaces of one connection (16).
    pub max_namespaces: usize,
    /// Unanswered events of one socket (1,024).
    pub max_pending_acks: usize,
    /// Generic rooms of one socket (1,000).
    pub max_rooms: usize,
    /// Connections of the server; more get 503 (no limit).
    pub max_sessions: Option<usize>,
    /// Connections of one address; more get 429 (no limit).
    pub max_sessions_per_ip: Option<usize>,
    /// Bytes of unfinished messages in the server (256 MiB). Beyond, the connections with the most are
    /// closed.
    pub max_unfinished_bytes: usize,
    /// Bytes of unfinished messages of one address (16 MiB). Beyond, its connections with the most are
    /// closed.
    pub max_unfinished_bytes_per_ip: usize,
    /// Refused CONNECT packets after which a connection is closed (8).
    pub max_refused_connects: u32,
    /// Window in which refused events are counted (10 s); see [`crate::Socket::count_refused`].
    pub refusal_window: Duration,
    /// Refused events in a window after which a connection is closed (500).
    pub max_refused_events: u32,
    /// Bytes of refused events in a window after which a connection is closed (1 MiB).
    pub max_refused_bytes: usize,
    /// Polling answers of at least this size in bytes are compressed for clients that accept it (1 KiB).
    /// `None` turns compression off.
    pub compression_threshold: Option<usize>,
    /// Whether to keep the handshake's HTTP headers for [`crate::Handshake::headers`] (yes). About 1 KiB
    /// per client.
    pub keep_headers: bool,
    /// Whether polling clients may upgrade to WebSocket (yes).
    pub allow_upgrades: bool,
    /// The cookie with the session id (none).
    pub cookie: Option<SessionCookie>,
    /// What the names of the server's metrics start with (`roomful`, so that they are `roomful_…`).
    pub metric_prefix: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            heartbeat: HeartbeatTiming {
                interval: Duration::from_secs(25),
                timeout: Duration::from_secs(20),
            },
            max_payload: 1_000_000,
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            body_timeout: Duration::from_secs(20),
            linger: Duration::from_secs(2),
            outbox_bytes: 256 * 1024,
            outbox_frames: 1024,
            inbox_events: 64,
            max_attachments: 10,
            max_fragments: 1024,
            max_namespaces: 16,
            max_pending_acks: 1024,
            max_rooms: 1000,
            max_sessions: None,
            max_sessions_per_ip: None,
            max_early_payload: 16 * 1024,
            message_timeout: Duration::from_secs(30),
            max_unfinished_bytes: 256 * 1024 * 1024,
            max_unfinished_bytes_per_ip: 16 * 1024 * 1024,
            max_refused_connects: 8,
            refusal_window: Duration::from_secs(10),
            max_refused_events: 500,
            max_refused_bytes: 1024 * 1024,
            compression_threshold: Some(1024),
            keep_headers: true,
            allow_upgrades: true,
            cookie: None,
            metric_prefix: "roomful",
        }
    }
}

impl Settings {
    /// Limits for a client that may send messages of `max_message` bytes.
    pub(crate) fn parser_limits(&self, max_message: usize) -> parser::Limits {
        parser::Limits {
            max_attachments: self.max_attachments,
            max_attachment_bytes: max_message,
        }
    }
}
