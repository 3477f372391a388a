//! The counters of the bus. Handles are made once, since a look-up by name costs more than the increment.

use metrics::{Counter, Gauge, counter, gauge};

pub(crate) struct Metrics {
    /// Messages that Redis has taken.
    pub(crate) published: Counter,
    /// Messages from other ends, each counted once however many listen.
    pub(crate) received: Counter,
    /// Connections made again after they were lost.
    pub(crate) reconnects: Counter,
    /// Topics that this end hears.
    pub(crate) topics: Gauge,
    /// Too many, or too large ones, wait already.
    pub(crate) dropped_full: Counter,
    /// Redis can't be reached.
    pub(crate) dropped_down: Counter,
    /// They were sent, and no answer came; some may have arrived.
    pub(crate) dropped_failed: Counter,
    /// Redis took none of them.
    pub(crate) dropped_refused: Counter,
    /// The end was closed.
    pub(crate) dropped_closed: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let dropped = |cause: &'static str| counter!("roomful_bus_dropped_total", "cause" => cause);
        Self {
            published: counter!("roomful_bus_published_total"),
            received: counter!("roomful_bus_received_total"),
            reconnects: counter!("roomful_bus_reconnects_total"),
            topics: gauge!("roomful_bus_topics"),
            dropped_full: dropped("queue_full"),
            dropped_down: dropped("down"),
            dropped_failed: dropped("failed"),
            dropped_refused: dropped("refused"),
            dropped_closed: dropped("closed"),
        }
    }
}
