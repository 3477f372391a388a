//! One hook: its requests, their bounds, and what it decides if the endpoint does not answer.

use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use roomful_chat::{HookEvent, HookState, Limits, Question, RoomPattern, Verdict};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};

use super::{
    answer,
    circuit::Circuit,
    figures::{Cause, Figures},
};
use crate::{
    config::{self, OnFailure},
    http_client::NoBody,
    webhooks::{Answer, Client, PostError, SigningKeys, Target},
};

/// The pause before a request is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A configured hook.
pub(super) struct Hook {
    name: String,
    event: HookEvent,
    /// `None` for all rooms.
    rooms: Option<Box<[RoomPattern]>>,
    client: Client,
    target: Target,
    limits: Limits,
    /// The time from a question to its answer, with all retries. A question waits up to half of it for a
    /// permit.
    timeout: Duration,
    retries: u32,
    on_failure: OnFailure,
    /// One permit for each question in flight.
    permits: Semaphore,
    circuit: Mutex<Circuit>,
    figures: Figures,
}

/// A question that went undecided.
struct Failure {
    cause: Cause,
    /// One line, without URLs and secrets.
    error: String,
}

impl Hook {
    /// The hook of a validated setting; `None` if the setting is invalid.
    pub(super) fn new(hook: &config::Hook, client: &Client, limits: Limits) -> Option<Self> {
        Some(Self {
            name: hook.name().to_owned(),
            event: hook.event()?,
            rooms: hook.rooms(),
            client: client.clone(),
            target: Target::new(hook.uri()?, SigningKeys::new(&hook.keys()?)),
            limits,
            timeout: hook.timeout.0,
            retries: hook.retries,
            on_failure: hook.on_failure,
            permits: Semaphore::new(hook.concurrency),
            circuit: Mutex::new(Circuit::new(hook.open_after, hook.open_for.0)),
            figures: Figures::of(hook.name()),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The signing keys, shared with this hook.
    pub(super) fn keys(&self) -> SigningKeys {
        self.target.keys()
    }

    /// Its state, for operators.
    pub(super) fn state(&self) -> HookState {
        let rooms = self.rooms.iter().flatten();
        HookState {
            name: self.name.clone(),
            event: self.event,
            rooms: rooms.map(|pattern| pattern.as_str().to_owned()).collect(),
            allows_on_failure: self.on_failure == OnFailure::Allow,
            circuit: self.circuit.lock().state(),
            in_flight: self.figures.in_flight.value(),
            answers: self.figures.answers(),
            failures: self.figures.failures(),
            last_error: self.figures.last_error(),
        }
    }

    pub(super) fn concerns(&self, event: HookEvent, room: Option<&str>) -> bool {
        let matches = |rooms: &[RoomPattern]| {
            room.is_some_and(|room| rooms.iter().any(|pattern| pattern.matches(room)))
        };
        self.event == event && self.rooms.as_deref().is_none_or(matches)
    }

    /// Asks the endpoint, or does what `on_failure` says.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Verdict {
        let started = Instant::now();
        let deadline = started + self.timeout;
        // The endpoint gets at least half of the time.
        let waiting = timeout_at(started + self.timeout / 2, self.permits.acquire());
        let Ok(Ok(_permit)) = waiting.await else {
            let error = "too many requests in flight";
            self.figures.failed(Cause::Busy, error, false);
            return self.undecided(Verdict::Busy);
        };
        let Some(attempt) = Attempt::start(&self.circuit) else {
            self.figures.count(Cause::CircuitOpen);
            return self.undecided(Verdict::Undecided);
        };
        self.figures.in_flight.increment();
        let in_flight = InFlight(self);
        let decided = match timeout_at(deadline, self.decide(question)).await {
            Ok(decided) => decided,
            Err(_) => Err(Failure {
                cause: Cause::Timeout,
                error: format!("no answer within {}", humantime::format_duration(self.timeout)),
            }),
        };
        drop(in_flight);
        match decided {
            Ok(verdict) => {
                self.figures.seconds.record(started.elapsed());
                self.figures.answered(&verdict, attempt.succeeded());
                verdict
            }
            Err(Failure { cause, error }) => {
                self.figures.failed(cause, &error, attempt.failed());
                self.undecided(Verdict::Undecided)
            }
        }
    }

    fn undecided(&self, on_refuse: Verdict) -> Verdict {
        match self.on_failure {
            OnFailure::Allow => Verdict::Allow,
            OnFailure::Refuse => on_refuse,
        }
    }

    /// Posts the question, and repeats it if the endpoint is unreachable or answers 502 to 504.
    async fn decide(&self, question: &Question<'_>) -> Result<Verdict, Failure> {
        let invalid = |error: String| Failure {
            cause: Cause::Invalid,
            error,
        };
        let body = serde_json::to_vec(question).map_err(|error| invalid(error.to_string()))?;
        let body = Bytes::from(body);
        // All attempts have one id, so the endpoint recognises a repeated question.
        let id = format!("hook_{:032x}", rand::random::<u128>());
        let mut retries = self.retries;
        let answer = loop {
            let answer = self.client.post(&self.target, &id, body.clone()).await;
            let is_away = match &answer {
                Ok(answer) => matches!(answer.status.as_u16(), 502..=504),
                Err(error) => matches!(error, PostError::Unreachable(_)),
            };
            if !is_away || retries == 0 {
                break answer;
            }
            retries -= 1;
            sleep(RETRY_PAUSE).await;
        };
        let body = content(answer)?;
        answer::read(&body, question, &self.limits).map_err(invalid)
    }
}

/// The body of a successful answer.
fn content(answer: Result<Answer, PostError>) -> Result<Bytes, Failure> {
    let (cause, error) = match answer {
        Err(PostError::Invalid(error)) => (Cause::Invalid, error),
        Err(PostError::Unreachable(error)) => (Cause::Unreachable, error),
        Ok(Answer { status, .. }) if !status.is_success() => {
            (Cause::Status, format!("answered {}", status.as_u16()))
        }
        Ok(Answer { body: Ok(body), .. }) => return Ok(body),
        Ok(Answer {
            body: Err(NoBody::TooLarge),
            ..
        }) => (Cause::TooLarge, "the answer is too large".to_owned()),
        Ok(Answer {
            body: Err(NoBody::Broken),
            ..
        }) => (Cause::Unreachable, "the answer broke off".to_owned()),
    };
    Err(Failure { cause, error })
}

/// Counts a request while it is in flight, also if its caller drops it.
struct InFlight<'a>(&'a Hook);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.figures.in_flight.decrement();
    }
}

/// A request that the circuit has admitted. If it is dropped without an outcome, the next request probes.
struct Attempt<'a> {
    circuit: Option<&'a Mutex<Circuit>>,
}

impl<'a> Attempt<'a> {
    /// `None` if the circuit is open.
    fn start(circuit: &'a Mutex<Circuit>) -> Option<Self> {
        let admitted = circuit.lock().admit(Instant::now());
        admitted.then_some(Self {
            circuit: Some(circuit),
        })
    }

    /// Returns whether this closes the circuit.
    fn succeeded(mut self) -> bool {
        self.circuit
            .take()
            .is_some_and(|circuit| circuit.lock().succeeded())
    }

    /// Returns whether this opens the circuit.
    fn failed(mut self) -> bool {
        let now = Instant::now();
        self.circuit
            .take()
            .is_some_and(|circuit| circuit.lock().failed(now))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(circuit) = self.circuit {
            circuit.lock().abandoned(Instant::now());
        }
    }
}
