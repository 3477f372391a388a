//! Section `outbox`: retries and retention of records, and the checks that webhooks and streams share.

use std::time::Duration;

use roomful_chat::webhook;
use roomful_store::RecordKind;
use serde::Deserialize;

use super::{
    error::{Invalid, within},
    units::{Size, Span},
};

/// The record kinds of these event names; unknown names are skipped.
pub(super) fn record_kinds(events: &[String]) -> Vec<RecordKind> {
    let known = events.iter().filter_map(|event| webhook::kind_of(event));
    known.collect()
}

/// An error text for the first unknown event name, if there is one.
pub(super) fn unknown_event(events: &[String]) -> Option<String> {
    let unknown = events.iter().find(|event| webhook::kind_of(event).is_none())?;
    let known = RecordKind::ALL.map(webhook::type_name).join(", ");
    Some(format!("there is no event {unknown:?}; the events are {known}"))
}

/// An error text if `name` is not a valid name for a sink or is already in `names`; otherwise adds it to
/// `names`.
pub(super) fn invalid_name(name: String, names: &mut Vec<String>) -> Option<String> {
    if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
        return Some("a name must have 1 to 100 bytes and no control characters".to_owned());
    }
    if names.contains(&name) {
        return Some(format!("two have the name {name:?}; give each its own"));
    }
    names.push(name);
    None
}

/// Section `outbox`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outbox {
    pub(crate) timeout: Span,
    pub(crate) concurrency: usize,
    pub(crate) retry_first: Span,
    pub(crate) retry_max: Span,
    pub(crate) attempts: u32,
    pub(crate) undelivered_after: Span,
    pub(crate) undelivered_members: u32,
    pub(crate) keep_delivered: Span,
    pub(crate) keep_dead: Span,
    pub(crate) max_records: u64,
    pub(crate) max_size: Size,
}

impl Outbox {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        const DAY: u64 = 86_400;
        let seconds = |seconds| Span(Duration::from_secs(seconds));
        let millis = |millis| Span(Duration::from_millis(millis));
        within("outbox.timeout", self.timeout, millis(10)..=seconds(300))?;
        within("outbox.concurrency", self.concurrency, 1..=256)?;
        within("outbox.retry_first", self.retry_first, millis(10)..=seconds(DAY))?;
        within(
            "outbox.retry_max",
            self.retry_max,
            self.retry_first..=seconds(7 * DAY),
        )?;
        within("outbox.attempts", self.attempts, 1..=1_000)?;
        within(
            "outbox.undelivered_after",
            self.undelivered_after,
            millis(0)..=seconds(DAY),
        )?;
        within(
            "outbox.undelivered_members",
            self.undelivered_members,
            0..=100_000,
        )?;
        within(
            "outbox.keep_delivered",
            self.keep_delivered,
            millis(0)..=seconds(365 * DAY),
        )?;
        within("outbox.keep_dead", self.keep_dead, millis(0)..=seconds(365 * DAY))?;
        within("outbox.max_records", self.max_records, 100..=1_000_000_000)?;
        within("outbox.max_size", self.max_size, Size(1 << 20)..=Size(1 << 40))
    }
}
