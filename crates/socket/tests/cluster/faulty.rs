//! A bus that loses messages and records the topics that arrived.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use roomful_bus::{
    Bus, BusError, BusListener, Entry, ExpiredEntry, Heartbeat, Hub, Membership, Subscription,
};
use tokio::sync::watch;

pub(crate) struct Faulty {
    inner: Arc<dyn Bus>,
    notes: Arc<Notes>,
}

pub(crate) struct Notes {
    /// Percentage of messages to lose.
    lost: AtomicUsize,
    count: AtomicUsize,
    reached: Mutex<Vec<String>>,
    subscribed: watch::Sender<BTreeSet<String>>,
}

impl Faulty {
    pub(crate) fn connect(hub: &Hub, lost: usize) -> Arc<Faulty> {
        Arc::new(Faulty {
            inner: hub.connect(),
            notes: Arc::new(Notes {
                lost: AtomicUsize::new(lost),
                count: AtomicUsize::new(0),
                reached: Mutex::default(),
                subscribed: watch::Sender::default(),
            }),
        })
    }

    /// The topics of all messages that arrived.
    pub(crate) fn reached(&self) -> Vec<String> {
        self.notes.reached.lock().clone()
    }

    /// Whether a subscribed topic ends like this.
    pub(crate) fn subscribed(&self, end: &str) -> bool {
        let topics = self.notes.subscribed.borrow();
        topics.iter().any(|topic| topic.ends_with(end))
    }

    pub(crate) async fn wait_for_topics(&self, wanted: impl Fn(&BTreeSet<String>) -> bool) {
        let mut subscribed = self.notes.subscribed.subscribe();
        subscribed.wait_for(|topics| wanted(topics)).await.unwrap();
    }
}

struct NotingListener {
    inner: Arc<dyn BusListener>,
    notes: Arc<Notes>,
}

impl BusListener for NotingListener {
    fn message(&self, topic: &str, message: Bytes) {
        let count = self.notes.count.fetch_add(1, Ordering::Relaxed);
        // A deterministic spread that looks random.
        if count.wrapping_mul(2_654_435_761) / 65_536 % 100 < self.notes.lost.load(Ordering::Relaxed) {
            return;
        }
        self.notes.reached.lock().push(topic.to_owned());
        self.inner.message(topic, message);
    }

    fn gap(&self, topic: &str) {
        self.inner.gap(topic);
    }
}

#[async_trait]
impl Bus for Faulty {
    fn publish(&self, topic: &str, message: Bytes) {
        self.inner.publish(topic, message);
    }

    fn subscribe(&self, topic: &str, listener: Arc<dyn BusListener>) -> Subscription {
        let listener = NotingListener {
            inner: listener,
            notes: Arc::clone(&self.notes),
        };
        let inner = self.inner.subscribe(topic, Arc::new(listener));
        let (notes, topic) = (Arc::clone(&self.notes), topic.to_owned());
        notes
            .subscribed
            .send_modify(|topics| topics.extend([topic.clone()]));
        Subscription::new(watch::channel(true).1, move || {
            drop(inner);
            notes
                .subscribed
                .send_modify(|topics| topics.retain(|known| *known != topic));
        })
    }

    async fn check(&self) -> Result<(), BusError> {
        self.inner.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl Membership for Faulty {
    async fn heartbeat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Heartbeat, BusError> {
        self.inner.heartbeat(member, info, ttl).await
    }

    async fn leave(&self, member: &str, linger: Duration) -> Result<(), BusError> {
        self.inner.leave(member, linger).await
    }

    async fn members(&self) -> Result<Vec<Entry>, BusError> {
        self.inner.members().await
    }

    async fn put(&self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError> {
        self.inner.put(member, key, value).await
    }

    async fn remove(&self, member: &str, key: &str) -> Result<Vec<Entry>, BusError> {
        self.inner.remove(member, key).await
    }

    async fn entries(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, BusError> {
        self.inner.entries(keys).await
    }

    async fn take_expired(&self, limit: usize) -> Result<Vec<ExpiredEntry>, BusError> {
        self.inner.take_expired(limit).await
    }

    async fn acquire_lock(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError> {
        self.inner.acquire_lock(member, name, ttl).await
    }
}
