//! The metrics of chat. The handles are created once, since a look-up by name costs more than an increment.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::{
    error::ErrorCode,
    events::{
        EventKind,
        laws::{Law, LawReport},
        moderation::ModerationAction,
    },
    recovery::refusal::Refusal,
};

pub(crate) struct Metrics {
    pub(crate) users_online: Gauge,
    /// Committed messages.
    pub(crate) messages_in: Tally,
    /// Messages queued for a socket, counted for each socket.
    pub(crate) messages_out: Tally,
    /// From the arrival of an event to its acknowledgement.
    pub(crate) ack_seconds: Histogram,
    /// From a message's timestamp until it is queued for this node's clients.
    delivery_seconds: Histogram,
    pub(crate) draining_notices: Counter,
    /// Messages and edits that rules on their text refused, masked or flagged.
    pub(crate) refused_by_rules: Counter,
    pub(crate) masked_by_rules: Counter,
    pub(crate) flagged_by_rules: Counter,
    pub(crate) memberships_over_quota: Counter,
    pub(crate) subscriptions_over_quota: Counter,
    pub(crate) blocks_over_quota: Counter,
    pub(crate) reports_over_quota: Counter,
    pub(crate) reports: Counter,
    /// Blocks, and ends of blocks.
    pub(crate) blocks: [Counter; 2],
    /// Refusals after which a connection paused.
    pub(crate) refusal_pauses: Counter,
    /// Committed entries that the store failed to read.
    pub(crate) unreadable: Counter,
    /// Clients that wait for a permit to resume.
    pub(crate) sessions_waiting: Gauge,
    resumed: Counter,
    not_resumed: [Counter; Refusal::ALL.len()],
    errors: [Counter; ErrorCode::ALL.len()],
    events: [Counter; EventKind::ALL.len()],
    unknown_events: Counter,
    moderation: [Counter; ModerationAction::ALL.len()],
    /// Entries that clients checked, and the violations that they found.
    client_entries_checked: Counter,
    client_law_violations: [Counter; Law::ALL.len()],
    /// Audit records that failed, and that were written.
    audited: [Counter; 2],
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            users_online: gauge!("roomful_users_online"),
            messages_in: Tally::new(counter!("roomful_messages_in_total")),
            messages_out: Tally::new(counter!("roomful_messages_out_total")),
            ack_seconds: histogram!("roomful_ack_seconds"),
            delivery_seconds: histogram!("roomful_delivery_seconds"),
            draining_notices: counter!("roomful_draining_notices_total"),
            refused_by_rules: counter!("roomful_moderation_rule_matches_total", "action" => "refuse"),
            masked_by_rules: counter!("roomful_moderation_rule_matches_total", "action" => "mask"),
            flagged_by_rules: counter!("roomful_moderation_rule_matches_total", "action" => "flag"),
            memberships_over_quota: counter!("roomful_quota_exceeded_total", "quota" => "memberships"),
            subscriptions_over_quota: counter!("roomful_quota_exceeded_total", "quota" => "subscriptions"),
            blocks_over_quota: counter!("roomful_quota_exceeded_total", "quota" => "blocks"),
            reports_over_quota: counter!("roomful_quota_exceeded_total", "quota" => "reports"),
            reports: counter!("roomful_reports_total"),
            blocks: ["block", "unblock"].map(|action| counter!("roomful_blocks_total", "action" => action)),
            refusal_pauses: counter!("roomful_refusal_pauses_total"),
            unreadable: counter!("roomful_unreadable_entries_total"),
            sessions_waiting: gauge!("roomful_sessions_waiting"),
            resumed: counter!("roomful_sessions_resumed_total", "outcome" => "recovered", "cause" => ""),
            not_resumed: Refusal::ALL.map(|refusal| {
                let cause = refusal.label();
                counter!("roomful_sessions_resumed_total", "outcome" => "refused", "cause" => cause)
            }),
            errors: ErrorCode::ALL.map(|code| counter!("roomful_errors_total", "code" => code.as_str())),
            events: EventKind::ALL.map(|kind| counter!("roomful_events_total", "event" => kind.name())),
            unknown_events: counter!("roomful_events_total", "event" => "unknown"),
            audited: [false, true].map(|written| {
                let outcome = if written { "written" } else { "failed" };
                counter!("roomful_audit_records_total", "outcome" => outcome)
            }),
            client_entries_checked: counter!("roomful_client_entries_checked_total"),
            client_law_violations: Law::ALL
                .map(|(name, _)| counter!("roomful_client_law_violations_total", "law" => name)),
            moderation: ModerationAction::ALL
                .map(|(name, _)| counter!("roomful_moderation_total", "action" => name)),
        }
    }

    pub(crate) fn messages(&self) -> Messages {
        Messages {
            committed: self.messages_in.count(),
            delivered: self.messages_out.count(),
        }
    }

    /// Records that an entry was queued for this node's clients `after_ms` after its timestamp. Negative if
    /// another node's clock is ahead.
    pub(crate) fn delivered(&self, after_ms: i64) {
        let after = u64::try_from(after_ms).unwrap_or_default();
        self.delivery_seconds.record(Duration::from_millis(after));
    }

    pub(crate) fn error(&self, code: ErrorCode) {
        // `ALL` is in declaration order, so the discriminant is the index.
        if let Some(counter) = self.errors.get(code as usize) {
            counter.increment(1);
        }
    }

    /// Counts an attempt to recover a session, which succeeded or was refused.
    pub(crate) fn resumed(&self, refusal: Option<Refusal>) {
        match refusal {
            None => self.resumed.increment(1),
            Some(refusal) => {
                if let Some(counter) = self.not_resumed.get(refusal as usize) {
                    counter.increment(1);
                }
            }
        }
    }

    /// An act of moderation took effect, on the node where it was ordered.
    pub(crate) fn moderated(&self, action: ModerationAction) {
        if let Some(counter) = self.moderation.get(action as usize) {
            counter.increment(1);
        }
    }

    /// Counts a client's report of its checks.
    pub(crate) fn client_checked(&self, report: Option<&LawReport>) {
        let Some(LawReport { entries, violations }) = report else {
            return;
        };
        self.client_entries_checked.increment(*entries);
        for violated in violations {
            if let Some(counter) = self.client_law_violations.get(violated.law as usize) {
                counter.increment(violated.count);
            }
        }
    }

    /// An audit record was written, or could not be.
    pub(crate) fn audited(&self, written: bool) {
        let [failed, succeeded] = &self.audited;
        let counter = if written { succeeded } else { failed };
        counter.increment(1);
    }

    pub(crate) fn event(&self, kind: Option<EventKind>) {
        kind.and_then(|kind| self.events.get(kind as usize))
            .unwrap_or(&self.unknown_events)
            .increment(1);
    }
}

/// Messages since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Messages {
    /// Committed messages.
    pub committed: u64,
    /// Messages queued for a socket, counted for each socket.
    pub delivered: u64,
}

/// A counter that can be read, unlike a counter of the recorder.
pub(crate) struct Tally {
    counter: Counter,
    count: AtomicU64,
}

impl Tally {
    pub(crate) fn new(counter: Counter) -> Self {
        Self {
            counter,
            count: AtomicU64::new(0),
        }
    }

    pub(crate) fn increment(&self, by: u64) {
        self.counter.increment(by);
        self.count.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Adds one to a gauge as long as it lives.
pub(crate) struct Counted<'a>(&'a Gauge);

impl<'a> Counted<'a> {
    pub(crate) fn one(gauge: &'a Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A number of things, as gauges take it.
#[allow(
    clippy::cast_precision_loss,
    reason = "exact for any number of things in memory"
)]
pub(crate) fn count(things: usize) -> f64 {
    things as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_declaration_order() {
        for (index, code) in ErrorCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index);
        }
        for (index, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
        for (index, (_, law)) in Law::ALL.into_iter().enumerate() {
            assert_eq!(law as usize, index);
        }
        for (index, (_, action)) in ModerationAction::ALL.into_iter().enumerate() {
            assert_eq!(action as usize, index);
        }
    }
}
