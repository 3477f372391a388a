//! Metrics and log lines of one hook, and the same figures for operators.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use parking_lot::Mutex;
use roomful_chat::{HookError, Verdict};
use tokio::time::Instant;

use crate::{clock, log::FailureLog};

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

    fn label(self) -> &'static str {
        Self::ALL.get(self as usize).map_or("", |(_, label)| label)
    }
}

/// The metrics of one hook, and when to log its failures.
pub(super) struct Figures {
    name: String,
    allowed: Tally,
    refused: Tally,
    replaced: Tally,
    failures: [Tally; Cause::ALL.len()],
    /// Seconds from a question to its answer.
    pub(super) seconds: Histogram,
    pub(super) in_flight: Level,
    circuit_open: Gauge,
    log: Mutex<FailureLog>,
    last_error: Mutex<Option<HookError>>,
}

/// A counter that can be read: those of the metrics library cannot.
struct Tally {
    counter: Counter,
    count: AtomicU64,
}

impl Tally {
    fn new(counter: Counter) -> Self {
        let count = AtomicU64::new(0);
        Self { counter, count }
    }

    fn increment(&self) {
        self.counter.increment(1);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// A gauge of a number of things that can be read.
pub(super) struct Level {
    gauge: Gauge,
    count: AtomicU64,
}

impl Level {
    fn new(gauge: Gauge) -> Self {
        gauge.set(0.0);
        let count = AtomicU64::new(0);
        Self { gauge, count }
    }

    pub(super) fn increment(&self) {
        self.gauge.increment(1.0);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn decrement(&self) {
        self.gauge.decrement(1.0);
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Figures {
    /// The metrics of the hook of this name. Exports all of them at once.
    pub(super) fn of(name: &str) -> Self {
        let label = || name.to_owned();
        let answers = |action: &'static str| {
            let hook = label();
            Tally::new(counter!("roomful_hook_answers_total", "hook" => hook, "action" => action))
        };
        let circuit_open = gauge!("roomful_hook_circuit_open", "hook" => label());
        circuit_open.set(0.0);
        Self {
            name: label(),
            allowed: answers("allow"),
            refused: answers("refuse"),
            replaced: answers("replace"),
            failures: Cause::ALL.map(|(_, cause)| {
                Tally::new(counter!("roomful_hook_failures_total", "hook" => label(), "cause" => cause))
            }),
            seconds: histogram!("roomful_hook_seconds", "hook" => label()),
            in_flight: Level::new(gauge!("roomful_hook_in_flight", "hook" => label())),
            circuit_open,
            log: Mutex::default(),
            last_error: Mutex::default(),
        }
    }

    /// The endpoint has decided.
    pub(super) fn answered(&self, verdict: &Verdict, closes_circuit: bool) {
        match verdict {
            Verdict::Refuse(_) => self.refused.increment(),
            Verdict::Replace(_) => self.replaced.increment(),
            _ => self.allowed.increment(),
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
        *self.last_error.lock() = Some(HookError {
            at: clock::unix_millis(),
            cause: cause.label().to_owned(),
            text: error.to_owned(),
        });
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

    /// The number of answers by action.
    pub(super) fn answers(&self) -> BTreeMap<String, u64> {
        let all = [
            ("allow", &self.allowed),
            ("refuse", &self.refused),
            ("replace", &self.replaced),
        ];
        let all = all.into_iter();
        all.map(|(action, tally)| (action.to_owned(), tally.value()))
            .collect()
    }

    /// The number of failures by cause.
    pub(super) fn failures(&self) -> BTreeMap<String, u64> {
        let all = Cause::ALL.iter().zip(&self.failures);
        all.map(|((_, cause), tally)| ((*cause).to_owned(), tally.value()))
            .collect()
    }

    pub(super) fn last_error(&self) -> Option<HookError> {
        self.last_error.lock().clone()
    }

    /// Counts a question that the endpoint did not decide.
    pub(super) fn count(&self, cause: Cause) {
        if let Some(counter) = self.failures.get(cause as usize) {
            counter.increment();
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
