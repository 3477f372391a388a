//! Metrics and log lines of one hook.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use parking_lot::Mutex;
use roomful_chat::Verdict;
use tokio::time::Instant;

use crate::log::FailureLog;

/// Why a hook did not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// No answer in time.
    Timeout,
    /// The connection failed.
    Unreachable,
    /// The status is not 2xx.
    Status,
    /// The answer is malformed.
    Invalid,
    /// The answer is too large.
    TooLarge,
    /// Too many requests were in flight for too long.
    Busy,
    /// The circuit is open.
    CircuitOpen,
}

impl Cause {
    /// In declaration order.
    const ALL: [(Self, &'static str); 7] = [
        (Self::Timeout, "timeout"),
        (Self::Unreachable, "unreachable"),
        (Self::Status, "status"),
        (Self::Invalid, "invalid"),
        (Self::TooLarge, "too_large"),
        (Self::Busy, "busy"),
        (Self::CircuitOpen, "circuit_open"),
    ];
}

/// The metrics of one hook, and when to log its failures.
pub(super) struct Figures {
    name: String,
    allowed: Counter,
    refused: Counter,
    replaced: Counter,
    failures: [Counter; Cause::ALL.len()],
    /// Seconds from a question to its answer.
    pub(super) seconds: Histogram,
    pub(super) in_flight: Gauge,
    circuit_open: Gauge,
    log: Mutex<FailureLog>,
}

impl Figures {
    /// The metrics of the hook of this name. Exports all of them at once.
    pub(super) fn of(name: &str) -> Self {
        let label = || name.to_owned();
        let answers = |action: &'static str| {
            let hook = label();
            counter!("roomful_hook_answers_total", "hook" => hook, "action" => action)
        };
        let circuit_open = gauge!("roomful_hook_circuit_open", "hook" => label());
        circuit_open.set(0.0);
        let in_flight = gauge!("roomful_hook_in_flight", "hook" => label());
        in_flight.set(0.0);
        Self {
            name: label(),
            allowed: answers("allow"),
            refused: answers("refuse"),
            replaced: answers("replace"),
            failures: Cause::ALL.map(
                |(_, cause)| counter!("roomful_hook_failures_total", "hook" => label(), "cause" => cause),
            ),
            seconds: histogram!("roomful_hook_seconds", "hook" => label()),
            in_flight,
            circuit_open,
            log: Mutex::default(),
        }
    }

    /// The endpoint has decided.
    pub(super) fn answered(&self, verdict: &Verdict, closes_circuit: bool) {
        match verdict {
            Verdict::Refuse(_) => self.refused.increment(1),
            Verdict::Replace(_) => self.replaced.increment(1),
            _ => self.allowed.increment(1),
        }
        if closes_circuit {
            self.circuit_open.set(0.0);
        }
        let recovered = self.log.lock().succeeded(Instant::now());
        if let Some(after) = recovered {
            tracing::info!(hook = self.name, ?after, "the hook answers again");
        }
    }

    /// The endpoint has not decided, for this reason.
    pub(super) fn failed(&self, cause: Cause, error: &str, opens_circuit: bool) {
        self.count(cause);
        if opens_circuit {
            self.circuit_open.set(1.0);
        }
        let summary = self.log.lock().failed(1, Instant::now());
        if let Some(summary) = summary {
            tracing::warn!(
                hook = self.name,
                error,
                failures = summary.failures,
                failing_for = ?summary.failing_for,
                "failed to ask a hook, doing what its on_failure says"
            );
        }
    }

    /// Counts a question that the endpoint did not decide.
    pub(super) fn count(&self, cause: Cause) {
        if let Some(counter) = self.failures.get(cause as usize) {
            counter.increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_causes_are_in_declaration_order() {
        for (index, (cause, _)) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, index);
        }
    }
}
