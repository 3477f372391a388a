//! The counters of what nodes say to each other.

use metrics::{Counter, counter};

pub(super) struct Metrics {
    /// Messages given to the bus, one for each topic.
    pub(super) said: Counter,
    /// Messages that came.
    pub(super) heard: Counter,
    /// What came and was no message.
    pub(super) bad: Counter,
    /// Questions of other nodes that were not answered, since too many were under way.
    pub(super) refused: Counter,
    /// Nodes that were alive and did not answer in time.
    pub(super) silent: Counter,
    /// Answers that a caller did not take up in time, so that they were lost.
    pub(super) overrun: Counter,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Metrics {
            said: counter!("roomful_adapter_said_total"),
            heard: counter!("roomful_adapter_heard_total"),
            bad: counter!("roomful_adapter_dropped_total", "cause" => "no_message"),
            refused: counter!("roomful_adapter_dropped_total", "cause" => "busy"),
            silent: counter!("roomful_adapter_silent_total"),
            overrun: counter!("roomful_adapter_dropped_total", "cause" => "overrun"),
        }
    }
}
