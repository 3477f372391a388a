//! The bus over Redis 7 or Valkey: one server, the master that Sentinels name, or a Cluster.
//!
//! | read | for |
//! |---|---|
//! | `url` | parsing of URLs |
//! | `connector` | one connection, and the texts of its errors |
//! | `discovery`, `slots` | the current masters |
//! | `supervisor` | the tasks of each shard |
//! | `shared`, `shard` | state that the tasks share |
//! | `publish_queue`, `publisher` | outgoing messages |
//! | `subscriptions`, `subscriber` | incoming messages |
//! | `membership` | leases and entries, in Lua |

#![expect(
    clippy::similar_names,
    reason = "a shard, and the state that all shards share"
)]

mod back_off;
mod connector;
mod discovery;
mod membership;
mod metrics;
mod publish_queue;
mod publisher;
mod shard;
mod shared;
mod slots;
mod subscriber;
mod subscriptions;
mod supervisor;
mod url;

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
use roomful_supervisor::{Supervised, supervise};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::timeout,
};

use self::{
    connector::Connector, discovery::Discovery, membership::RedisMembership, metrics::Metrics,
    publish_queue::Refused, shard::ShardMap, shared::Shared, subscriptions::Subscriptions, url::RedisUrl,
};
use crate::{Bus, BusError, BusListener, Entry, ExpiredEntry, Heartbeat, Membership, Options, Subscription};

/// A client of a bus over Redis. Dropping it ends its tasks and connections.
pub(crate) struct RedisBus {
    shared: Arc<Shared>,
    membership: RedisMembership,
    supervisor: Supervised,
}

impl RedisBus {
    /// Checks the syntax of the URL.
    pub(crate) fn check_url(url: &str) -> Result<(), BusError> {
        RedisUrl::parse(url).map(drop)
    }

    /// Checks the URL, the options and the CA file.
    pub(crate) fn check(url: &str, options: &Options) -> Result<(), BusError> {
        Self::prepare(url, options).map(drop)
    }

    fn prepare(url: &str, options: &Options) -> Result<(RedisUrl, Connector), BusError> {
        if [&options.prefix, &options.scope]
            .iter()
            .any(|part| part.contains(['{', '}']))
        {
            return Err(BusError::Config(
                "the prefix and the scope of the bus must not contain { or }".into(),
            ));
        }
        if options.ping_interval.is_zero() || options.timeout.is_zero() {
            return Err(BusError::Config(
                "the timeout and the ping interval of the bus must not be zero".into(),
            ));
        }
        let url = RedisUrl::parse(url)?;
        let connector = Connector::new(&url, options)?;
        Ok((url, connector))
    }

    pub(crate) fn open(url: &str, options: Options) -> Result<Self, BusError> {
        if Handle::try_current().is_err() {
            return Err(BusError::Config(
                "a bus must be opened within a tokio runtime".into(),
            ));
        }
        let (url, connector) = Self::prepare(url, &options)?;
        let is_cluster = url.is_cluster();
        let metrics = Metrics::new(options.metric_prefix);
        let shared = Arc::new(Shared {
            id: rand::random(),
            channels: options.scoped(format!("{}t", options.prefix)) + ":",
            options,
            is_cluster,
            connector,
            subscriptions: Mutex::new(Subscriptions::default()),
            shard_map: watch::Sender::new(Arc::new(ShardMap::default())),
            discovered: watch::Sender::new(None),
            rediscover: Notify::new(),
            closed: AtomicBool::new(false),
            metrics,
        });
        let for_supervisor = Arc::clone(&shared);
        let supervisor = supervise("bus supervisor", move || {
            let discovery = Discovery::new(url.clone(), &for_supervisor.connector);
            supervisor::run(Arc::clone(&for_supervisor), discovery)
        });
        Ok(Self {
            membership: RedisMembership::new(&shared),
            shared,
            supervisor,
        })
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        self.supervisor.abort();
        // Ends all calls that wait for a confirmation.
        self.shared.subscriptions.lock().clear();
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn publish(&self, topic: &str, message: Bytes) {
        let shared = &self.shared;
        let channel = shared.channel(topic);
        let pushed = match shared.shard(shared.slot(&channel)) {
            _ if shared.is_closed() => Err(Refused::Closed),
            Some(shard) => shard.queue.push((channel, message)),
            None => Err(Refused::Down),
        };
        match pushed {
            Ok(()) => {}
            Err(Refused::Full) => shared.metrics.dropped_full.increment(1),
            Err(Refused::Down) => shared.metrics.dropped_down.increment(1),
            Err(Refused::Closed) => shared.metrics.dropped_closed.increment(1),
        }
    }

    fn subscribe(&self, topic: &str, listener: Arc<dyn BusListener>) -> Subscription {
        let channel: Arc<str> = self.shared.channel(topic).into();
        let slot = self.shared.slot(&channel);
        if self.shared.is_closed() {
            return Subscription::new(watch::channel(false).1, || {});
        }
        let added = {
            let mut subscriptions = self.shared.subscriptions.lock();
            let added = subscriptions.add(&channel, slot, listener);
            self.shared.metrics.topics.set(count(subscriptions.len()));
            added
        };
        if added.is_first
            && let Some(shard) = self.shared.shard(slot)
        {
            shard.recheck([Arc::clone(&channel)]);
        }
        let shared = Arc::clone(&self.shared);
        Subscription::new(added.confirmed, move || {
            let is_last = {
                let mut subscriptions = shared.subscriptions.lock();
                let is_last = subscriptions.remove(&channel, added.id);
                shared.metrics.topics.set(count(subscriptions.len()));
                is_last
            };
            if is_last && let Some(shard) = shared.shard(slot) {
                shard.recheck([channel]);
            }
        })
    }

    async fn check(&self) -> Result<(), BusError> {
        self.membership.check().await
    }

    async fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        let shards = self.shared.shard_map.borrow().shards.clone();
        for shard in &shards {
            shard.queue.close();
        }
        let drained = async {
            for shard in &shards {
                // The sender goes away with its shard, which ends the wait too.
                let _ = shard.drained.subscribe().wait_for(|drained| *drained).await;
            }
        };
        if timeout(self.shared.options.timeout, drained).await.is_err() {
            tracing::warn!("failed to send the queued messages before the deadline");
        }
        self.supervisor.abort();
        // Ends calls that wait for the first discovery.
        self.shared.discovered.send_replace(Some(Err(closed())));
        self.membership.close().await;
        self.shared.subscriptions.lock().clear();
        self.shared.metrics.topics.set(0.0);
    }
}

/// The error of every call to a closed client.
fn closed() -> BusError {
    BusError::Unavailable("the bus was closed".into())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge: the number of topics is far below 2^52"
)]
fn count(channels: usize) -> f64 {
    channels as f64
}

#[async_trait]
impl Membership for RedisBus {
    async fn heartbeat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Heartbeat, BusError> {
        self.membership.heartbeat(member, info, ttl).await
    }

    async fn leave(&self, member: &str, linger: Duration) -> Result<(), BusError> {
        self.membership.leave(member, linger).await
    }

    async fn members(&self) -> Result<Vec<Entry>, BusError> {
        self.membership.members().await
    }

    async fn put(&self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError> {
        self.membership.put(member, key, value).await
    }

    async fn remove(&self, member: &str, key: &str) -> Result<Vec<Entry>, BusError> {
        self.membership.remove(member, key).await
    }

    async fn entries(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, BusError> {
        self.membership.entries(keys).await
    }

    async fn take_expired(&self, limit: usize) -> Result<Vec<ExpiredEntry>, BusError> {
        self.membership.take_expired(limit).await
    }

    async fn acquire_lock(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError> {
        self.membership.acquire_lock(member, name, ttl).await
    }
}
