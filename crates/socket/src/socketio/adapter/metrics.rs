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
    pub(super) fn new(prefix: &str) -> Self {
        let name = |name: &str| format!("{prefix}_{name}");
        Metrics {
            published: counter!(name("adapter_published_total")),
            received: counter!(name("adapter_received_total")),
            bad: counter!(name("adapter_dropped_total"), "cause" => "no_message"),
            refused: counter!(name("adapter_dropped_total"), "cause" => "busy"),
            timeouts: counter!(name("adapter_timeouts_total")),
            overrun: counter!(name("adapter_dropped_total"), "cause" => "overrun"),
        }
    }
}
