//! The figures of chat. Handles are made once: a look-up by name costs more than the increment.

use metrics::{Counter, Gauge, counter, gauge};

use crate::{error::ErrorCode, events::EventKind};

pub(crate) struct Metrics {
    pub(crate) users_online: Gauge,
    /// Messages committed.
    pub(crate) messages_in: Counter,
    /// Messages queued for a socket, once for each.
    pub(crate) messages_out: Counter,
    errors: [Counter; ErrorCode::ALL.len()],
    events: [Counter; EventKind::ALL.len()],
    unknown_events: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            users_online: gauge!("roomful_users_online"),
            messages_in: counter!("roomful_messages_in_total"),
            messages_out: counter!("roomful_messages_out_total"),
            errors: ErrorCode::ALL.map(|code| counter!("roomful_errors_total", "code" => code.as_str())),
            events: EventKind::ALL.map(|kind| counter!("roomful_events_total", "event" => kind.name())),
            unknown_events: counter!("roomful_events_total", "event" => "unknown"),
        }
    }

    pub(crate) fn error(&self, code: ErrorCode) {
        // `ALL` is in declaration order, so the discriminant is the index.
        if let Some(counter) = self.errors.get(code as usize) {
            counter.increment(1);
        }
    }

    pub(crate) fn event(&self, kind: Option<EventKind>) {
        kind.and_then(|kind| self.events.get(kind as usize))
            .unwrap_or(&self.unknown_events)
            .increment(1);
    }
}

/// How many, as a gauge takes it.
#[allow(
    clippy::cast_precision_loss,
    reason = "exact for any count of things in memory"
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
    }
}
