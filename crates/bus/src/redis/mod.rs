//! The bus over Redis 7 or Valkey: one server, the master that Sentinels name, or a Cluster.
//!
//! | read | for |
//! |---|---|
//! | `target` | the URL |
//! | `dial` | one connection, and why it failed |
//! | `finder`, `slots` | who is master of what |
//! | `conductor` | a lane to each master |
//! | `shared` | what the tasks share: topics, routes, lanes |
//! | `outbox`, `publisher` | what is sent |
//! | `topics`, `ear` | what is heard |
//! | `roster` | leases and entries, in Lua |

mod back_off;
mod conductor;
mod dial;
mod ear;
mod finder;
mod metrics;
mod outbox;
mod publisher;
mod roster;
mod shared;
mod slots;
mod target;
mod topics;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task::AbortHandle,
    time::timeout,
};

use self::{
    dial::Dialer,
    finder::Finder,
    metrics::Metrics,
    outbox::Refused,
    roster::RedisRoster,
    shared::{Route, Shared},
    target::Target,
    topics::Topics,
};
use crate::{Beat, Bus, BusError, Entry, Listener, Options, Roster, Subscription, Swept};

/// One node's end of a bus over Redis. Dropping it ends its tasks and connections.
pub(crate) struct RedisBus {
    shared: Arc<Shared>,
    roster: RedisRoster,
    conductor: AbortHandle,
}

impl RedisBus {
    /// Whether the URL can be meant.
    pub(crate) fn check_url(url: &str) -> Result<(), BusError> {
        Target::parse(url).map(drop)
    }

    /// Whether the URL and the options can be meant, with what they name.
    pub(crate) fn check(url: &str, options: &Options) -> Result<(), BusError> {
        Self::prepare(url, options).map(drop)
    }

    fn prepare(url: &str, options: &Options) -> Result<(Target, Dialer), BusError> {
        if [&options.prefix, &options.scope]
            .iter()
            .any(|part| part.contains(['{', '}']))
        {
            return Err(BusError::Setup(
                "the prefix and the scope of the bus must not contain braces".into(),
            ));
        }
        if options.ping_interval.is_zero() || options.timeout.is_zero() {
            return Err(BusError::Setup("the times of the bus must not be zero".into()));
        }
        let target = Target::parse(url)?;
        let dialer = Dialer::new(&target, options)?;
        Ok((target, dialer))
    }

    pub(crate) fn open(url: &str, options: Options) -> Result<Self, BusError> {
        let runtime = Handle::try_current()
            .map_err(|_| BusError::Setup("a bus has to be opened within a tokio runtime".into()))?;
        let (target, dialer) = Self::prepare(url, &options)?;
        let is_cluster = target.is_cluster();
        let finder = Finder::new(target, &dialer);
        let shared = Arc::new(Shared {
            id: rand::random(),
            channels: options.scoped(format!("{}t", options.prefix)) + ":",
            options,
            is_cluster,
            dialer,
            topics: Mutex::new(Topics::default()),
            route: watch::Sender::new(Arc::new(Route::default())),
            found: watch::Sender::new(None),
            refresh: Notify::new(),
            closed: AtomicBool::new(false),
            metrics: Metrics::new(),
        });
        let conductor = runtime.spawn(conductor::conduct(Arc::clone(&shared), finder));
        Ok(Self {
            roster: RedisRoster::new(&shared),
            shared,
            conductor: conductor.abort_handle(),
        })
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        self.conductor.abort();
        // Whoever still waits to be heard waits for nothing.
        self.shared.topics.lock().clear();
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn publish(&self, topic: &str, message: Bytes) {
        let shared = &self.shared;
        let channel = shared.channel(topic);
        let pushed = match shared.lane(shared.slot(&channel)) {
            _ if shared.is_closed() => Err(Refused::Closed),
            Some(lane) => lane.outbox.push((channel, message)),
            None => Err(Refused::Down),
        };
        match pushed {
            Ok(()) => {}
            Err(Refused::Full) => shared.metrics.dropped_full.increment(1),
            Err(Refused::Down) => shared.metrics.dropped_down.increment(1),
            Err(Refused::Closed) => shared.metrics.dropped_closed.increment(1),
        }
    }

    fn subscribe(&self, topic: &str, listener: Arc<dyn Listener>) -> Subscription {
        let channel: Arc<str> = self.shared.channel(topic).into();
        let slot = self.shared.slot(&channel);
        if self.shared.is_closed() {
            return Subscription::new(watch::channel(false).1, || {});
        }
        let added = {
            let mut topics = self.shared.topics.lock();
            let added = topics.add(&channel, slot, listener);
            self.shared.metrics.topics.set(count(topics.len()));
            added
        };
        if added.is_first
            && let Some(lane) = self.shared.lane(slot)
        {
            lane.unsettle([Arc::clone(&channel)]);
        }
        let shared = Arc::clone(&self.shared);
        Subscription::new(added.heard, move || {
            let is_last = {
                let mut topics = shared.topics.lock();
                let is_last = topics.remove(&channel, added.id);
                shared.metrics.topics.set(count(topics.len()));
                is_last
            };
            if is_last && let Some(lane) = shared.lane(slot) {
                lane.unsettle([channel]);
            }
        })
    }

    async fn check(&self) -> Result<(), BusError> {
        self.roster.check().await
    }

    async fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        let lanes = self.shared.route.borrow().lanes.clone();
        for lane in &lanes {
            lane.outbox.close();
        }
        let drained = async {
            for lane in &lanes {
                // An end of the lane is an end of what it could send.
                let _ = lane.drained.subscribe().wait_for(|drained| *drained).await;
            }
        };
        if timeout(self.shared.options.timeout, drained).await.is_err() {
            tracing::warn!("what waited for Redis could not be sent in time");
        }
        self.conductor.abort();
        // Nobody asks any more, so nobody is to wait for how that ends.
        self.shared.found.send_replace(Some(Err(closed())));
        self.roster.close().await;
        self.shared.topics.lock().clear();
        self.shared.metrics.topics.set(0.0);
    }
}

/// Why a closed bus does nothing.
fn closed() -> BusError {
    BusError::Unavailable("the bus was closed".into())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge; nobody has that many topics")]
fn count(topics: usize) -> f64 {
    topics as f64
}

#[async_trait]
impl Roster for RedisBus {
    async fn beat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Beat, BusError> {
        self.roster.beat(member, info, ttl).await
    }

    async fn resign(&self, member: &str) -> Result<(), BusError> {
        self.roster.resign(member).await
    }

    async fn members(&self) -> Result<Vec<Entry>, BusError> {
        self.roster.members().await
    }

    async fn put(&self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError> {
        self.roster.put(member, key, value).await
    }

    async fn remove(&self, member: &str, key: &str) -> Result<Vec<Entry>, BusError> {
        self.roster.remove(member, key).await
    }

    async fn entries(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, BusError> {
        self.roster.entries(keys).await
    }

    async fn sweep(&self, limit: usize) -> Result<Vec<Swept>, BusError> {
        self.roster.sweep(limit).await
    }

    async fn hold(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError> {
        self.roster.hold(member, name, ttl).await
    }
}
