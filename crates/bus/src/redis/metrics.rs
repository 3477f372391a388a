//! Metrics of the bus. Handles are made once, since a lookup by name costs more than an increment.

use metrics::{Counter, Gauge, counter, gauge};

pub(crate) struct Metrics {
    /// Messages accepted by Redis.
    pub(crate) published: Counter,
    /// Messages of other clients, counted once each regardless of listeners.
    pub(crate) received: Counter,
    /// Connections made again after a loss.
    pub(crate) reconnects: Counter,
    /// Subscribed topics.
    pub(crate) topics: Gauge,
    /// The publish queue is full.
    pub(crate) dropped_full: Counter,
    /// Redis is unreachable.
    pub(crate) dropped_down: Counter,
    /// Sent, but no answer came; some of these may have arrived.
    pub(crate) dropped_failed: Counter,
    /// Redis answered with an error.
    pub(crate) dropped_refused: Counter,
    /// The client is closed.
    pub(crate) dropped_closed: Counter,
}

impl Metrics {
    pub(crate) fn new(prefix: &str) -> Self {
        let name = |name: &str| format!("{prefix}_{name}");
        let dropped = |cause: &'static str| counter!(name("bus_dropped_total"), "cause" => cause);
        Self {
            published: counter!(name("bus_published_total")),
            received: counter!(name("bus_received_total")),
            reconnects: counter!(name("bus_reconnects_total")),
            topics: gauge!(name("bus_topics")),
            dropped_full: dropped("queue_full"),
            dropped_down: dropped("down"),
            dropped_failed: dropped("failed"),
            dropped_refused: dropped("refused"),
            dropped_closed: dropped("closed"),
        }
    }
}
