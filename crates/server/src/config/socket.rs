//! Section `socket`: heartbeat, deadlines and buffers of one connection.

use std::time::Duration;

use serde::Deserialize;

use super::{
    error::{Invalid, within},
    units::{Size, Span},
};

/// Section `socket`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Socket {
    pub(crate) ping_interval: Span,
    pub(crate) ping_timeout: Span,
    pub(crate) max_payload: Size,
    pub(crate) connect_timeout: Span,
    pub(crate) upgrade_timeout: Span,
    pub(crate) body_timeout: Span,
    pub(crate) linger: Span,
    pub(crate) outbox_bytes: Size,
    pub(crate) outbox_frames: usize,
    pub(crate) inbox_events: usize,
    pub(crate) max_attachments: usize,
    pub(crate) max_fragments: u32,
    pub(crate) max_pending_acks: usize,
    pub(crate) max_early_payload: Size,
    pub(crate) message_timeout: Span,
    pub(crate) max_unfinished: Size,
    pub(crate) max_unfinished_per_ip: Size,
    pub(crate) max_refused_connects: u32,
    pub(crate) refusal_window: Span,
    pub(crate) max_refused_events: u32,
    pub(crate) max_refused_bytes: Size,
    pub(crate) compress_from: Size,
}

impl Socket {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let deadline = Span(Duration::from_millis(100))..=Span(Duration::from_mins(10));
        within("socket.ping_interval", self.ping_interval, deadline.clone())?;
        within("socket.ping_timeout", self.ping_timeout, deadline.clone())?;
        within("socket.connect_timeout", self.connect_timeout, deadline.clone())?;
        within("socket.upgrade_timeout", self.upgrade_timeout, deadline.clone())?;
        within("socket.body_timeout", self.body_timeout, deadline.clone())?;
        within("socket.message_timeout", self.message_timeout, deadline.clone())?;
        within("socket.refusal_window", self.refusal_window, deadline)?;
        within(
            "socket.linger",
            self.linger,
            Span(Duration::ZERO)..=Span(Duration::from_mins(1)),
        )?;
        within(
            "socket.max_payload",
            self.max_payload,
            Size(1024)..=Size(64 << 20),
        )?;
        within(
            "socket.outbox_bytes",
            self.outbox_bytes,
            Size(16 << 10)..=Size(256 << 20),
        )?;
        within("socket.outbox_frames", self.outbox_frames, 16..=1_000_000)?;
        within("socket.inbox_events", self.inbox_events, 1..=10_000)?;
        within("socket.max_attachments", self.max_attachments, 0..=100)?;
        within("socket.max_fragments", self.max_fragments, 1..=1_000_000)?;
        within("socket.max_pending_acks", self.max_pending_acks, 1..=100_000)?;
        within(
            "socket.max_unfinished",
            self.max_unfinished,
            self.max_payload..=Size(64 << 30),
        )?;
        within(
            "socket.max_early_payload",
            self.max_early_payload,
            Size(1024)..=Size(64 << 20),
        )?;
        within(
            "socket.max_unfinished_per_ip",
            self.max_unfinished_per_ip,
            self.max_payload..=Size(64 << 30),
        )?;
        within(
            "socket.max_refused_connects",
            self.max_refused_connects,
            1..=10_000,
        )?;
        within(
            "socket.max_refused_events",
            self.max_refused_events,
            1..=1_000_000,
        )?;
        within(
            "socket.max_refused_bytes",
            self.max_refused_bytes,
            Size(1024)..=Size(64 << 30),
        )?;
        within(
            "socket.compress_from",
            self.compress_from,
            Size(0)..=Size(64 << 20),
        )
    }
}
