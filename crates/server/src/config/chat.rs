//! Sections of the chat rules: rooms, history, recovery, notifications, presence and typing.

use std::time::Duration;

use serde::Deserialize;

use super::{
    error::{Invalid, within},
    units::{Size, Span},
};

const fn seconds(seconds: u64) -> Span {
    Span(Duration::from_secs(seconds))
}

/// Section `rooms`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rooms {
    pub(crate) create_on_join: bool,
    pub(crate) reserved: Vec<String>,
    pub(crate) per_user: u32,
    pub(crate) remove_unused_after: Span,
    pub(crate) newcomers_start_read: bool,
    pub(crate) unread_interval: Span,
}

impl Rooms {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within("rooms.per_user", self.per_user, 1..=1_000_000)?;
        within(
            "rooms.remove_unused_after",
            self.remove_unused_after,
            seconds(60)..=seconds(100 * 365 * 86_400),
        )?;
        within("rooms.reserved", self.reserved.len(), 0..=1_000)?;
        within(
            "rooms.unread_interval",
            self.unread_interval,
            seconds(0)..=seconds(3600),
        )
    }
}

/// Section `history`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    pub(crate) max_messages: u64,
    pub(crate) max_age: Span,
    pub(crate) trim_interval: Span,
    pub(crate) dedup_for: Span,
    pub(crate) dedup_per_room: u64,
    pub(crate) keep_edits: bool,
}

impl History {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within("history.max_messages", self.max_messages, 1..=1_000_000_000)?;
        within(
            "history.max_age",
            self.max_age,
            seconds(1)..=seconds(100 * 365 * 86_400),
        )?;
        within(
            "history.dedup_for",
            self.dedup_for,
            seconds(0)..=seconds(365 * 86_400),
        )?;
        within("history.dedup_per_room", self.dedup_per_room, 1..=1_000_000_000)?;
        within(
            "history.trim_interval",
            self.trim_interval,
            seconds(1)..=seconds(86_400),
        )
    }
}

/// Section `notifications`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notifications {
    pub(crate) max_per_user: u64,
    pub(crate) max_age: Span,
    pub(crate) devices_per_user: u32,
    pub(crate) recipients: usize,
    pub(crate) body: Size,
    pub(crate) data: Size,
    pub(crate) in_flight: u32,
    pub(crate) unsaved_marks: usize,
}

impl Notifications {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within("notifications.max_per_user", self.max_per_user, 1..=10_000)?;
        within(
            "notifications.max_age",
            self.max_age,
            seconds(1)..=seconds(100 * 365 * 86_400),
        )?;
        within("notifications.devices_per_user", self.devices_per_user, 1..=1_000)?;
        within("notifications.recipients", self.recipients, 1..=10_000)?;
        within("notifications.body", self.body, Size(1)..=Size(64 << 10))?;
        within("notifications.data", self.data, Size(2)..=Size(64 << 10))?;
        within("notifications.in_flight", self.in_flight, 1..=100_000)?;
        within("notifications.unsaved_marks", self.unsaved_marks, 1..=10_000_000)
    }
}

/// Section `recovery`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recovery {
    pub(crate) window: Span,
    pub(crate) max_events: usize,
    pub(crate) max_size: Size,
    pub(crate) sessions_per_user: u32,
    pub(crate) concurrency: usize,
}

impl Recovery {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within("recovery.window", self.window, seconds(0)..=seconds(86_400))?;
        within("recovery.max_events", self.max_events, 1..=100_000)?;
        within("recovery.max_size", self.max_size, Size(1)..=Size(1 << 30))?;
        within("recovery.sessions_per_user", self.sessions_per_user, 1..=10_000)?;
        within("recovery.concurrency", self.concurrency, 1..=100_000)
    }
}

/// Section `presence`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Presence {
    pub(crate) grace: Span,
    pub(crate) announce_up_to: usize,
    pub(crate) subscriptions: usize,
    pub(crate) users_per_subscribe: usize,
    pub(crate) status_text: usize,
    pub(crate) visible_to: VisibleTo,
}

/// Who sees the presence of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VisibleTo {
    SharedRooms,
    Everyone,
}

impl Presence {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within("presence.grace", self.grace, seconds(0)..=seconds(3600))?;
        within("presence.announce_up_to", self.announce_up_to, 0..=100_000)?;
        within(
            "presence.users_per_subscribe",
            self.users_per_subscribe,
            1..=10_000,
        )?;
        within("presence.status_text", self.status_text, 0..=1_000)?;
        within("presence.subscriptions", self.subscriptions, 0..=100_000)
    }
}

/// Section `typing`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Typing {
    pub(crate) interval: Span,
    pub(crate) timeout: Span,
}

impl Typing {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within("typing.interval", self.interval, seconds(0)..=seconds(60))?;
        within(
            "typing.timeout",
            self.timeout,
            Span(Duration::from_millis(100))..=seconds(300),
        )
    }
}
