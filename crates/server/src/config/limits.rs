//! Section `limits`: rates, counts and sizes that clients may use.

use std::time::Duration;

use serde::Deserialize;

use super::{
    error::{Invalid, within},
    units::{Size, Span},
};

/// Section `limits`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) rates: bool,
    pub(crate) connections: usize,
    pub(crate) connections_per_ip: usize,
    pub(crate) connections_per_user: u32,
    pub(crate) connects_per_second_per_ip: u32,
    pub(crate) connects_burst_per_ip: u32,
    pub(crate) events_per_second: u32,
    pub(crate) events_burst: u32,
    pub(crate) events_per_second_per_user: u32,
    pub(crate) events_burst_per_user: u32,
    pub(crate) moderations_per_second_per_user: u32,
    pub(crate) moderations_burst_per_user: u32,
    pub(crate) events_per_second_per_ip: u32,
    pub(crate) events_burst_per_ip: u32,
    pub(crate) tracked: usize,
    pub(crate) close_after_refused: u32,
    pub(crate) refusal_pause: Span,
    pub(crate) text: Size,
    pub(crate) metadata: Size,
    pub(crate) client_id: usize,
    pub(crate) mentions: usize,
    pub(crate) reactions: u32,
    pub(crate) edits: u64,
    pub(crate) daily_size: Size,
    pub(crate) daily_rooms: u64,
    pub(crate) reason: usize,
    pub(crate) slow_mode: Span,
    pub(crate) blocks: u32,
    pub(crate) rooms_per_socket: usize,
    pub(crate) sends_in_flight: u32,
    pub(crate) posts_in_flight: u32,
    pub(crate) sends_queued_per_room: usize,
    pub(crate) sends_queued: u32,
    pub(crate) join_buffer: usize,
    pub(crate) history_page: u32,
    pub(crate) inbox_page: u32,
    pub(crate) rooms_per_sync: usize,
    pub(crate) online_users: usize,
    pub(crate) profiles_cached: usize,
}

impl Limits {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within("limits.connections", self.connections, 0..=10_000_000)?;
        within(
            "limits.connections_per_ip",
            self.connections_per_ip,
            1..=10_000_000,
        )?;
        within(
            "limits.connections_per_user",
            self.connections_per_user,
            1..=1_000_000,
        )?;
        for (key, value) in [
            (
                "limits.connects_per_second_per_ip",
                self.connects_per_second_per_ip,
            ),
            ("limits.connects_burst_per_ip", self.connects_burst_per_ip),
            ("limits.events_per_second", self.events_per_second),
            ("limits.events_burst", self.events_burst),
            (
                "limits.events_per_second_per_user",
                self.events_per_second_per_user,
            ),
            ("limits.events_burst_per_user", self.events_burst_per_user),
            (
                "limits.moderations_per_second_per_user",
                self.moderations_per_second_per_user,
            ),
            (
                "limits.moderations_burst_per_user",
                self.moderations_burst_per_user,
            ),
            ("limits.events_per_second_per_ip", self.events_per_second_per_ip),
            ("limits.events_burst_per_ip", self.events_burst_per_ip),
        ] {
            within(key, value, 1..=1_000_000)?;
        }
        within(
            "limits.close_after_refused",
            self.close_after_refused,
            0..=1_000_000,
        )?;
        within(
            "limits.refusal_pause",
            self.refusal_pause,
            Span(Duration::ZERO)..=Span(Duration::from_secs(1)),
        )?;
        within("limits.text", self.text, Size(1)..=Size(16 << 20))?;
        within("limits.metadata", self.metadata, Size(2)..=Size(1 << 20))?;
        within("limits.tracked", self.tracked, 1_000..=100_000_000)?;
        within("limits.client_id", self.client_id, 16..=1_000)?;
        within("limits.sends_queued", self.sends_queued, 16..=10_000_000)?;
        within("limits.join_buffer", self.join_buffer, 16..=1_000_000)?;
        within("limits.reactions", self.reactions, 1..=1_000)?;
        within("limits.edits", self.edits, 0..=1_000_000)?;
        within("limits.daily_size", self.daily_size, Size(0)..=Size(1 << 40))?;
        within("limits.daily_rooms", self.daily_rooms, 0..=1_000_000)?;
        within("limits.reason", self.reason, 0..=10_000)?;
        within(
            "limits.slow_mode",
            self.slow_mode,
            Span(Duration::from_secs(1))..=Span(Duration::from_hours(24 * 365)),
        )?;
        within("limits.blocks", self.blocks, 0..=100_000)?;
        within("limits.mentions", self.mentions, 0..=10_000)?;
        within("limits.rooms_per_socket", self.rooms_per_socket, 1..=100_000)?;
        within("limits.sends_in_flight", self.sends_in_flight, 1..=10_000)?;
        within("limits.posts_in_flight", self.posts_in_flight, 1..=10_000)?;
        within(
            "limits.sends_queued_per_room",
            self.sends_queued_per_room,
            1..=1_000_000,
        )?;
        within("limits.inbox_page", self.inbox_page, 1..=200)?;
        within("limits.rooms_per_sync", self.rooms_per_sync, 1..=1_000)?;
        within("limits.history_page", self.history_page, 1..=200)?;
        within("limits.online_users", self.online_users, 1..=100_000)?;
        within("limits.profiles_cached", self.profiles_cached, 1..=10_000_000)
    }
}
