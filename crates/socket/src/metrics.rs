//! Counters and gauges of the transport. Handles are created once, since a look-up by name costs more than
//! an increment.

use metrics::{Counter, Gauge, counter, gauge};

use crate::reason::Reason;

pub(crate) struct Metrics {
    pub(crate) connections: Gauge,
    pub(crate) opened: [Counter; 2],
    pub(crate) upgraded: Counter,
    closed: [Counter; Reason::ALL.len()],
    /// Volatile frames dropped because the client was not ready.
    pub(crate) dropped_volatile: Counter,
    /// Queued frames replaced by a newer state of the same thing.
    pub(crate) superseded: Counter,
    /// Requests answered with a numeric Engine.IO error.
    pub(crate) refused: [Counter; 6],
    pub(crate) too_many: Counter,
    pub(crate) packets_in: Counter,
    pub(crate) packets_out: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) handler_panics: Counter,
    /// Bytes of unfinished messages.
    pub(crate) unfinished: Gauge,
    /// CONNECT packets refused.
    pub(crate) refused_connects: Counter,
    /// Events that the application refused, and their bytes.
    pub(crate) refused_events: Counter,
    pub(crate) refused_bytes: Counter,
    /// 1 while the server drains.
    pub(crate) draining: Gauge,
    /// Connections ended by the waves of a drain.
    pub(crate) drained: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Metrics {
            connections: gauge!("roomful_connections"),
            opened: ["polling", "websocket"]
                .map(|transport| counter!("roomful_opened_total", "transport" => transport)),
            upgraded: counter!("roomful_upgraded_total"),
            closed: Reason::ALL.map(|reason| counter!("roomful_closed_total", "cause" => reason.label())),
            dropped_volatile: counter!("roomful_outbox_dropped_total", "cause" => "volatile"),
            superseded: counter!("roomful_outbox_dropped_total", "cause" => "superseded"),
            refused: std::array::from_fn(
                |code| counter!("roomful_http_refused_total", "code" => code.to_string()),
            ),
            too_many: counter!("roomful_http_refused_total", "code" => "too_many"),
            packets_in: counter!("roomful_packets_in_total"),
            packets_out: counter!("roomful_packets_out_total"),
            bytes_in: counter!("roomful_bytes_in_total"),
            bytes_out: counter!("roomful_bytes_out_total"),
            handler_panics: counter!("roomful_handler_panics_total"),
            unfinished: gauge!("roomful_unfinished_bytes"),
            refused_connects: counter!("roomful_refused_connects_total"),
            refused_events: counter!("roomful_refused_events_total"),
            refused_bytes: counter!("roomful_refused_event_bytes_total"),
            draining: gauge!("roomful_draining"),
            drained: counter!("roomful_drained_total"),
        }
    }

    pub(crate) fn closed(&self, reason: Reason) {
        // `ALL` is in declaration order, so the discriminant is the index.
        if let Some(counter) = self.closed.get(reason as usize) {
            counter.increment(1);
        }
    }
}
