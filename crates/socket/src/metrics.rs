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
    /// Requests of web pages from other origins.
    pub(crate) origins_refused: Counter,
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
    pub(crate) fn new(prefix: &str) -> Self {
        let name = |name: &str| format!("{prefix}_{name}");
        Metrics {
            connections: gauge!(name("connections")),
            opened: ["polling", "websocket"]
                .map(|transport| counter!(name("opened_total"), "transport" => transport)),
            upgraded: counter!(name("upgraded_total")),
            closed: Reason::ALL.map(|reason| counter!(name("closed_total"), "cause" => reason.label())),
            dropped_volatile: counter!(name("outbox_dropped_total"), "cause" => "volatile"),
            superseded: counter!(name("outbox_dropped_total"), "cause" => "superseded"),
            origins_refused: counter!(name("origins_refused_total")),
            refused: std::array::from_fn(
                |code| counter!(name("http_refused_total"), "code" => code.to_string()),
            ),
            too_many: counter!(name("http_refused_total"), "code" => "too_many"),
            packets_in: counter!(name("packets_in_total")),
            packets_out: counter!(name("packets_out_total")),
            bytes_in: counter!(name("bytes_in_total")),
            bytes_out: counter!(name("bytes_out_total")),
            handler_panics: counter!(name("handler_panics_total")),
            unfinished: gauge!(name("unfinished_bytes")),
            refused_connects: counter!(name("refused_connects_total")),
            refused_events: counter!(name("refused_events_total")),
            refused_bytes: counter!(name("refused_event_bytes_total")),
            draining: gauge!(name("draining")),
            drained: counter!(name("drained_total")),
        }
    }

    pub(crate) fn closed(&self, reason: Reason) {
        // `ALL` is in declaration order, so the discriminant is the index.
        if let Some(counter) = self.closed.get(reason as usize) {
            counter.increment(1);
        }
    }
}
