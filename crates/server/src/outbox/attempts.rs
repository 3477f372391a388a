//! Counters of delivery attempts: one series for each sink and outcome.

use metrics::{Counter, counter};

/// Why an attempt failed, as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The sink answered with an error.
    Refused,
    /// No answer in time.
    Timeout,
    /// The connection failed.
    Unreachable,
}

/// The counters of one sink.
pub(crate) struct Attempts {
    pub(crate) delivered: Counter,
    /// Records that cannot be decoded.
    pub(crate) invalid: Counter,
    refused: Counter,
    timeout: Counter,
    unreachable: Counter,
}

impl Attempts {
    /// The counters of the sink with this name. Exports all of them as 0 at once.
    pub(crate) fn of(sink: &str) -> Self {
        Self {
            delivered: Self::counter(sink, "delivered"),
            invalid: Self::counter(sink, "invalid"),
            refused: Self::counter(sink, "refused"),
            timeout: Self::counter(sink, "timeout"),
            unreachable: Self::counter(sink, "unreachable"),
        }
    }

    /// The counter of one outcome.
    pub(crate) fn counter(sink: &str, outcome: &'static str) -> Counter {
        counter!("roomful_webhooks_attempts_total", "endpoint" => sink.to_owned(), "outcome" => outcome)
    }

    /// The counter of one cause of failure.
    pub(crate) fn failed(&self, cause: Cause) -> &Counter {
        match cause {
            Cause::Refused => &self.refused,
            Cause::Timeout => &self.timeout,
            Cause::Unreachable => &self.unreachable,
        }
    }
}
