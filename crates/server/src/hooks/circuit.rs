//! A circuit breaker: after some failures in a row the server stops asking the endpoint for a while. Then one
//! request probes it.

use std::time::Duration;

use roomful_chat::HookCircuit;
use tokio::time::Instant;

/// The circuit of one endpoint. A pure value: the caller passes the time.
#[derive(Debug)]
pub(super) struct Circuit {
    /// Failures in a row that open it.
    open_after: u32,
    /// How long it stays open.
    open_for: Duration,
    failures: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// No request before this time; the first one after it is a probe.
    Open(Instant),
    /// A probe is on its way.
    HalfOpen,
}

impl Circuit {
    pub(super) fn new(open_after: u32, open_for: Duration) -> Self {
        Self {
            open_after,
            open_for,
            failures: 0,
            state: State::Closed,
        }
    }

    /// Whether it lets requests through now. An open circuit whose time is over lets one through.
    pub(super) fn state(&self) -> HookCircuit {
        match self.state {
            State::Closed => HookCircuit::Closed,
            State::Open(_) => HookCircuit::Open,
            State::HalfOpen => HookCircuit::HalfOpen,
        }
    }

    /// Whether a request may go out now.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open(until) if until <= now => {
                self.state = State::HalfOpen;
                true
            }
            State::Open(_) | State::HalfOpen => false,
        }
    }

    /// The endpoint has answered. Returns whether that closes the circuit.
    pub(super) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        std::mem::replace(&mut self.state, State::Closed) != State::Closed
    }

    /// A request failed. Returns whether that opens the circuit.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        match self.state {
            State::Closed if self.failures < self.open_after => false,
            // The request went out before the circuit opened.
            State::Open(_) => false,
            State::Closed | State::HalfOpen => {
                self.state = State::Open(now + self.open_for);
                true
            }
        }
    }

    /// A request ended without an outcome. If it was the probe, the next request is one.
    pub(super) fn abandoned(&mut self, now: Instant) {
        if self.state == State::HalfOpen {
            self.state = State::Open(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(5);

    /// A circuit that has just opened, and the time.
    fn open() -> (Circuit, Instant) {
        let (mut circuit, now) = (Circuit::new(3, OPEN_FOR), Instant::now());
        for _ in 0..2 {
            assert!(circuit.admit(now) && !circuit.failed(now));
        }
        assert!(circuit.admit(now) && circuit.failed(now));
        (circuit, now)
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_resets_them() {
        let (mut circuit, now) = (Circuit::new(2, OPEN_FOR), Instant::now());
        for _ in 0..10 {
            assert!(!circuit.failed(now));
            assert!(!circuit.succeeded());
        }
        let (mut circuit, now) = open();
        assert!(!circuit.admit(now));
        assert!(!circuit.admit(now + OPEN_FOR - Duration::from_millis(1)));
    }

    #[test]
    fn one_probe_closes_it_or_opens_it_again() {
        let (mut circuit, now) = open();
        let later = now + OPEN_FOR;
        assert!(circuit.admit(later));
        assert!(!circuit.admit(later), "one probe at a time");
        assert!(circuit.failed(later));
        assert!(!circuit.admit(later));
        let later = later + OPEN_FOR;
        assert!(circuit.admit(later));
        assert!(circuit.succeeded());
        assert!(circuit.admit(later) && circuit.admit(later));
        assert!(!circuit.failed(later), "it counts from the start again");
    }

    #[test]
    fn late_failures_do_not_prolong_it_and_an_abandoned_probe_makes_way() {
        let (mut circuit, now) = open();
        let later = now + OPEN_FOR;
        assert!(!circuit.failed(later - Duration::from_millis(1)));
        assert!(circuit.admit(later));
        circuit.abandoned(later);
        assert!(circuit.admit(later), "the next request probes");
        assert!(circuit.succeeded());
        circuit.abandoned(later);
        assert!(circuit.admit(later));
    }
}
