//! The cached keys of one issuer. A task of its own fetches them: on start, from time to time, and when a
//! token needs a key that is not there. At most one fetch runs at a time, and at most one per pause.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use metrics::{Counter, Gauge, counter, gauge};
use roomful_chat::{IssuerKeys, KeySet, KeysUnavailable};
use roomful_supervisor::{Supervised, supervise};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{client::FetchError, fetcher::Fetcher};
use crate::{clock, config::Auth, log::FailureLog};

/// The longest pause between attempts while an issuer is away.
const RETRY_MAX: Duration = Duration::from_mins(1);

/// The cached keys of one issuer.
#[derive(Clone)]
pub(super) struct KeyCache(Arc<Shared>);

struct Shared {
    state: watch::Sender<State>,
    /// Wakes the task for a fetch.
    wanted: Notify,
    /// The time from the start of a fetch to the next one, at least.
    pause: Duration,
    /// The time after which a caller no longer waits for a fetch.
    patience: Duration,
}

struct State {
    keys: Arc<KeySet>,
    /// The number of completed fetches.
    fetches: u64,
    /// Whether the last completed fetch succeeded.
    succeeded: bool,
    /// Whether a fetch is running.
    fetching: bool,
    /// When the next fetch may start.
    may_fetch_at: Instant,
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyCache")
    }
}

impl KeyCache {
    /// Starts the task that fetches the keys; the first fetch starts at once.
    pub(super) fn start(fetcher: Fetcher, auth: &Auth) -> (Self, Supervised) {
        let shared = Arc::new(Shared {
            state: watch::Sender::new(State {
                keys: Arc::default(),
                fetches: 0,
                succeeded: false,
                fetching: true,
                may_fetch_at: Instant::now(),
            }),
            wanted: Notify::new(),
            pause: auth.issuer_pause.0,
            patience: auth.issuer_timeout.0 + Duration::from_secs(1),
        });
        let (fetcher, refresh) = (Arc::new(fetcher), auth.issuer_refresh.0);
        let cache = Self(Arc::clone(&shared));
        let task = supervise("issuer keys", move || {
            Refresher::new(Arc::clone(&fetcher), Arc::clone(&shared), refresh).run()
        });
        (cache, task)
    }
}

#[async_trait]
impl IssuerKeys for KeyCache {
    fn cached(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.state.borrow().keys)
    }

    /// Joins a running fetch, or starts one. Within the pause after a fetch, returns the result of that fetch
    /// and schedules the next one for the end of the pause.
    async fn refresh(&self) -> Result<(), KeysUnavailable> {
        let shared = &self.0;
        let mut state = shared.state.subscribe();
        let before = {
            let state = state.borrow_and_update();
            if !state.fetching {
                shared.wanted.notify_one();
            }
            if !state.fetching && Instant::now() < state.may_fetch_at {
                return state.result();
            }
            state.fetches
        };
        let fetched = timeout(shared.patience, state.wait_for(|state| state.fetches > before)).await;
        match fetched {
            Ok(Ok(state)) => state.result(),
            Ok(Err(_)) | Err(_) => Err(KeysUnavailable),
        }
    }
}

impl State {
    fn result(&self) -> Result<(), KeysUnavailable> {
        if self.succeeded {
            Ok(())
        } else {
            Err(KeysUnavailable)
        }
    }
}

/// The task of one issuer.
struct Refresher {
    fetcher: Arc<Fetcher>,
    shared: Arc<Shared>,
    refresh: Duration,
    /// Failed fetches in a row.
    failures: u32,
    failure_log: FailureLog,
    metrics: Metrics,
}

impl Refresher {
    fn new(fetcher: Arc<Fetcher>, shared: Arc<Shared>, refresh: Duration) -> Self {
        let metrics = Metrics::new(fetcher.issuer());
        Self {
            fetcher,
            shared,
            refresh,
            failures: 0,
            failure_log: FailureLog::default(),
            metrics,
        }
    }

    async fn run(mut self) {
        let mut due = Instant::now();
        loop {
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.shared.wanted.notified() => {}
            }
            // In a statement of its own: the borrow must not last over the sleep.
            let may_fetch_at = self.shared.state.borrow().may_fetch_at;
            sleep_until(may_fetch_at).await;
            self.shared.state.send_modify(|state| {
                state.fetching = true;
                state.may_fetch_at = Instant::now() + self.shared.pause;
            });
            let fetched = self.fetcher.fetch().await;
            self.note(&fetched);
            due = Instant::now() + self.next_after();
            self.shared.state.send_modify(|state| {
                state.fetching = false;
                state.fetches += 1;
                state.succeeded = fetched.is_ok();
                // Keys outlive a failure: the issuer may be away.
                if let Ok(keys) = fetched {
                    state.keys = Arc::new(keys);
                }
            });
        }
    }

    /// The time to the next fetch without demand.
    fn next_after(&self) -> Duration {
        if self.failures == 0 {
            return self.refresh;
        }
        let doubled = self.shared.pause.saturating_mul(1 << self.failures.min(8));
        doubled.min(RETRY_MAX).min(self.refresh)
    }

    /// Counts and logs the result of a fetch.
    fn note(&mut self, fetched: &Result<KeySet, FetchError>) {
        self.metrics.count(fetched);
        let issuer = self.fetcher.issuer();
        match fetched {
            Ok(keys) => {
                self.failures = 0;
                if let Some(after) = self.failure_log.succeeded(Instant::now()) {
                    tracing::info!(
                        issuer,
                        ?after,
                        keys = keys.len(),
                        "fetching the issuer's keys again"
                    );
                }
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if let Some(summary) = self.failure_log.failed(1, Instant::now()) {
                    tracing::warn!(
                        issuer,
                        %error,
                        failures = summary.failures,
                        failing_for = ?summary.failing_for,
                        "failed to fetch the issuer's keys, keeping the old ones and retrying"
                    );
                }
            }
        }
    }
}

/// The metrics of one issuer.
struct Metrics {
    fetches: [Counter; FetchError::OUTCOMES.len()],
    keys: Gauge,
    fetched_at: Gauge,
}

impl Metrics {
    fn new(issuer: &str) -> Self {
        let issuer = issuer.to_owned();
        Self {
            fetches: FetchError::OUTCOMES.map(|outcome| {
                counter!("roomful_auth_key_fetches_total", "issuer" => issuer.clone(), "outcome" => outcome)
            }),
            keys: gauge!("roomful_auth_keys", "issuer" => issuer.clone()),
            fetched_at: gauge!("roomful_auth_keys_fetched_timestamp_seconds", "issuer" => issuer),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "gauges are floats, and the values stay far below 2^53"
    )]
    fn count(&self, fetched: &Result<KeySet, FetchError>) {
        let outcome = match fetched {
            Ok(keys) => {
                self.keys.set(keys.len() as f64);
                self.fetched_at.set(clock::unix_seconds() as f64);
                FetchError::OUTCOMES[0]
            }
            Err(error) => error.outcome(),
        };
        let found = FetchError::OUTCOMES.iter().zip(&self.fetches);
        for (_, counter) in found.filter(|(name, _)| **name == outcome) {
            counter.increment(1);
        }
    }
}
