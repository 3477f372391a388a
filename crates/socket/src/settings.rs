//! Every bound and delay of the transport in one place, with Socket.IO's defaults where it has one.

use std::time::Duration;

use roomful_wire::{engine::session::HeartbeatTiming, frame, parser};

/// Bounds and delays of a server. Each is set by the method of the same name on a builder.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Ping interval and pong timeout (25 s and 20 s).
    pub heartbeat: HeartbeatTiming,
    /// Largest message, frame sum and POST body in bytes (1,000,000). Told to the client as `maxPayload`.
    pub max_payload: usize,
    /// How long a probing WebSocket may take (10 s).
    pub upgrade_timeout: Duration,
    /// How long a client may take to join its first namespace (45 s).
    pub connect_timeout: Duration,
    /// How long a POST body may take to arrive (20 s).
    pub body_timeout: Duration,
    /// How long the last frames may take to leave when the server closes a connection (2 s).
    pub linger: Duration,
    /// Bytes that may wait for one client (256 KiB).
    pub outbox_bytes: usize,
    /// Frames that may wait for one client (1,024).
    pub outbox_frames: usize,
    /// Events of one connection that may wait for their handlers before reading stops (64).
    pub inbox_events: usize,
    /// Attachments of one packet (10).
    pub max_attachments: usize,
    /// Fragments of one WebSocket message (1,024).
    pub max_fragments: u32,
    /// Namespaces that one connection may join (16).
    pub max_namespaces: usize,
    /// Acks that one socket may owe us at a time (1,024).
    pub max_pending_acks: usize,
    /// Generic rooms that one socket may be in (1,000).
    pub max_rooms: usize,
    /// Connections in all; more are refused with 503 (no bound).
    pub max_sessions: Option<usize>,
    /// Connections from one address; more are refused with 429 (no bound).
    pub max_sessions_per_ip: Option<usize>,
    /// Bytes of unfinished messages in the whole process; over it, the connection that grows is closed (256 MiB).
    pub max_unfinished_bytes: usize,
    /// Polling answers of at least this size are compressed if the client accepts it (1 KiB); `None` turns it off.
    pub compression_threshold: Option<usize>,
    /// Keep the handshake's HTTP headers for [`crate::Handshake::headers`] (yes). Costs about 1 KiB a client.
    pub keep_headers: bool,
    /// May polling clients upgrade to WebSocket (yes)?
    pub allow_upgrades: bool,
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
            max_unfinished_bytes: 256 * 1024 * 1024,
            compression_threshold: Some(1024),
            keep_headers: true,
            allow_upgrades: true,
        }
    }
}

impl Settings {
    pub(crate) fn frame_limits(&self) -> frame::Limits {
        frame::Limits {
            max_message: self.max_payload,
            max_fragments: self.max_fragments,
        }
    }

    pub(crate) fn parser_limits(&self) -> parser::Limits {
        parser::Limits {
            max_attachments: self.max_attachments,
            max_attachment_bytes: self.max_payload,
        }
    }
}
