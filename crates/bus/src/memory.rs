//! `Hub`: a bus within one process, for a single node and for clusters in tests.

mod registry;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use self::registry::Registry;
use crate::{Bus, BusError, BusListener, Entry, ExpiredEntry, Heartbeat, Membership, Subscription};

/// Connects clients within this process. Clones are the same hub.
#[derive(Clone, Default)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    next_id: AtomicU64,
    topics: Mutex<HashMap<String, Vec<Subscribed>>>,
    registry: Mutex<Registry>,
}

/// One subscription of one client.
struct Subscribed {
    id: u64,
    client: u64,
    listener: Arc<dyn BusListener>,
}

struct MemoryBus {
    hub: Arc<Shared>,
    id: u64,
    closed: AtomicBool,
}

impl Hub {
    /// A new client.
    pub fn connect(&self) -> Arc<dyn Bus> {
        Arc::new(MemoryBus {
            hub: Arc::clone(&self.shared),
            id: self.shared.next_id.fetch_add(1, Ordering::Relaxed),
            closed: AtomicBool::new(false),
        })
    }
}

impl Shared {
    fn unsubscribe(&self, topic: &str, id: u64) {
        let mut topics = self.topics.lock();
        if let Some(subscribed) = topics.get_mut(topic) {
            subscribed.retain(|subscribed| subscribed.id != id);
            if subscribed.is_empty() {
                topics.remove(topic);
            }
        }
    }
}

impl MemoryBus {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn registry(&self) -> Result<MutexGuard<'_, Registry>, BusError> {
        if self.is_closed() {
            return Err(BusError::Unavailable("the bus was closed".to_owned()));
        }
        Ok(self.hub.registry.lock())
    }
}

#[async_trait]
impl Bus for MemoryBus {
    fn publish(&self, topic: &str, message: Bytes) {
        if self.is_closed() {
            return;
        }
        // Calls listeners outside the lock: a listener may publish and subscribe.
        let listeners: Vec<_> = self
            .hub
            .topics
            .lock()
            .get(topic)
            .into_iter()
            .flatten()
            .filter(|subscribed| subscribed.client != self.id)
            .map(|subscribed| Arc::clone(&subscribed.listener))
            .collect();
        for listener in listeners {
            listener.message(topic, message.clone());
        }
    }

    fn subscribe(&self, topic: &str, listener: Arc<dyn BusListener>) -> Subscription {
        if self.is_closed() {
            return Subscription::new(watch::channel(false).1, || {});
        }
        let id = self.hub.next_id.fetch_add(1, Ordering::Relaxed);
        let subscribed = Subscribed {
            id,
            client: self.id,
            listener,
        };
        self.hub
            .topics
            .lock()
            .entry(topic.to_owned())
            .or_default()
            .push(subscribed);
        let (hub, topic) = (Arc::clone(&self.hub), topic.to_owned());
        Subscription::new(watch::channel(true).1, move || hub.unsubscribe(&topic, id))
    }

    async fn check(&self) -> Result<(), BusError> {
        self.registry().map(drop)
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.hub.topics.lock().retain(|_, subscribed| {
            subscribed.retain(|subscribed| subscribed.client != self.id);
            !subscribed.is_empty()
        });
    }
}

#[async_trait]
impl Membership for MemoryBus {
    async fn heartbeat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Heartbeat, BusError> {
        Ok(self.registry()?.heartbeat(member, info, ttl))
    }

    async fn leave(&self, member: &str, linger: Duration) -> Result<(), BusError> {
        self.registry()?.leave(member, linger);
        Ok(())
    }

    async fn members(&self) -> Result<Vec<Entry>, BusError> {
        Ok(self.registry()?.live_members())
    }

    async fn put(&self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError> {
        self.registry()?.put(member, key, value)
    }

    async fn remove(&self, member: &str, key: &str) -> Result<Vec<Entry>, BusError> {
        self.registry()?.remove(member, key)
    }

    async fn entries(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, BusError> {
        let registry = self.registry()?;
        Ok(keys.iter().map(|key| registry.live_entries(key, None)).collect())
    }

    async fn take_expired(&self, limit: usize) -> Result<Vec<ExpiredEntry>, BusError> {
        Ok(self.registry()?.take_expired(limit))
    }

    async fn acquire_lock(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError> {
        self.registry()?.acquire_lock(member, name, ttl)
    }
}
