//! Attempts to tell a record, counted by what came of them: one series for each sink and outcome.

use metrics::{Counter, counter};

/// Why an attempt failed, as the metrics tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The sink answered that it will not take it.
    Refused,
    /// No answer in time.
    Timeout,
    /// No connection, or a broken one.
    Unreachable,
}

/// The counters of one sink.
pub(crate) struct Attempts {
    pub(crate) delivered: Counter,
    /// The record can't be told to anybody.
    pub(crate) unreadable: Counter,
    refused: Counter,
    timeout: Counter,
    unreachable: Counter,
}

impl Attempts {
    /// Those of the sink with this name. All show as 0 from now on.
    pub(crate) fn of(sink: &str) -> Self {
        Self {
            delivered: Self::counter(sink, "delivered"),
            unreadable: Self::counter(sink, "unreadable"),
            refused: Self::counter(sink, "refused"),
            timeout: Self::counter(sink, "timeout"),
            unreachable: Self::counter(sink, "unreachable"),
        }
    }

    /// The counter of an outcome.
    pub(crate) fn counter(sink: &str, outcome: &'static str) -> Counter {
        counter!("roomful_webhooks_attempts_total", "endpoint" => sink.to_owned(), "outcome" => outcome)
    }

    /// The counter of attempts that failed for this cause.
    pub(crate) fn failed(&self, cause: Cause) -> &Counter {
        match cause {
            Cause::Refused => &self.refused,
            Cause::Timeout => &self.timeout,
            Cause::Unreachable => &self.unreachable,
        }
    }
}
