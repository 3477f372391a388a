//! Counters of the messages between nodes.

use metrics::{Counter, counter};

pub(super) struct Metrics {
    /// Messages published, counted per topic.
    pub(super) published: Counter,
    /// Messages received.
    pub(super) received: Counter,
    /// Malformed messages received.
    pub(super) bad: Counter,
    /// Requests of other nodes refused because too many were open.
    pub(super) refused: Counter,
    /// Live nodes that did not answer in time.
    pub(super) timeouts: Counter,
    /// Answers lost because a caller did not keep up.
    pub(super) overrun: Counter,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Metrics {
            published: counter!("roomful_adapter_published_total"),
            received: counter!("roomful_adapter_received_total"),
            bad: counter!("roomful_adapter_dropped_total", "cause" => "no_message"),
            refused: counter!("roomful_adapter_dropped_total", "cause" => "busy"),
            timeouts: counter!("roomful_adapter_timeouts_total"),
            overrun: counter!("roomful_adapter_dropped_total", "cause" => "overrun"),
        }
    }
}
