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
