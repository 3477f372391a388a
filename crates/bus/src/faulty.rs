//! `FaultyBus`: a bus with every fault that the contract allows, chosen by a seed, for tests of its users.
//!
//! It wraps one client. It loses, repeats, delays and reorders incoming messages, for each listener on
//! its own. It loses the answers of the membership registry. A test can partition the client from all
//! others and heal it again.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{sync::watch, time::sleep};

use crate::{Bus, BusError, BusListener, Entry, ExpiredEntry, Heartbeat, MemberId, Membership, Subscription};

/// Messages delayed at the same time, at most; the bus delivers further ones at once.
const MAX_DELAYED: usize = 10_000;

/// Probabilities of faults, from 0 to 1. The default is no faults.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Faults {
    /// Share of messages to drop.
    pub drop: f64,
    /// Share of the others to deliver twice, the second time delayed.
    pub duplicate: f64,
    /// Share of the others to delay, and so to reorder.
    pub delay: f64,
    /// Longest delay.
    pub delay_max: Duration,
    /// Share of membership calls that take effect but answer [`BusError::Unavailable`].
    pub unanswered: f64,
}

/// A client of a bus with faults. Must be used within a tokio runtime.
pub struct FaultyBus {
    inner: Arc<dyn Bus>,
    shared: Arc<Shared>,
    /// Members whose `Heartbeat::Started` was lost.
    unanswered_starts: Mutex<HashSet<MemberId>>,
    /// Expired entries whose answer was lost.
    unanswered_expired: Mutex<Vec<ExpiredEntry>>,
}

struct Shared {
    faults: Mutex<Faults>,
    rng: Mutex<StdRng>,
    partitioned: watch::Sender<bool>,
    next_id: AtomicU64,
    listeners: Mutex<HashMap<u64, Arc<FaultyListener>>>,
    delayed: AtomicUsize,
}

/// The listener that the inner bus calls.
struct FaultyListener {
    shared: Arc<Shared>,
    topic: String,
    inner: Arc<dyn BusListener>,
    confirmed: watch::Sender<bool>,
}

impl FaultyBus {
    /// Wraps a client. The same seed makes the same choices if the same messages arrive in the same order.
    pub fn new(inner: Arc<dyn Bus>, seed: u64, faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            inner,
            shared: Arc::new(Shared {
                faults: Mutex::new(faults),
                rng: Mutex::new(StdRng::seed_from_u64(seed)),
                partitioned: watch::Sender::new(false),
                next_id: AtomicU64::new(0),
                listeners: Mutex::default(),
                delayed: AtomicUsize::new(0),
            }),
            unanswered_starts: Mutex::default(),
            unanswered_expired: Mutex::default(),
        })
    }

    /// Sets the faults from now on.
    pub fn set(&self, faults: Faults) {
        *self.shared.faults.lock() = faults;
    }

    /// Partitions the client from the bus: no message leaves or arrives, and membership calls fail.
    pub fn partition(&self) {
        self.shared.partitioned.send_replace(true);
    }

    /// Ends the partition. Listeners confirmed before it get a gap; subscriptions made during it are
    /// confirmed now.
    pub fn heal(&self) {
        if !self.shared.partitioned.send_replace(false) {
            return;
        }
        let listeners: Vec<_> = self.shared.listeners.lock().values().cloned().collect();
        for listener in listeners.iter().filter(|listener| *listener.confirmed.borrow()) {
            listener.inner.gap(&listener.topic);
        }
    }

    /// True during a partition.
    pub fn is_partitioned(&self) -> bool {
        *self.shared.partitioned.borrow()
    }

    fn inner(&self) -> Result<&dyn Bus, BusError> {
        if self.is_partitioned() {
            return Err(BusError::Unavailable("this client is partitioned".to_owned()));
        }
        Ok(&*self.inner)
    }

    /// Decides whether to lose the answer of a membership call.
    fn loses_answer(&self) -> bool {
        let share = self.shared.faults.lock().unanswered;
        self.is_partitioned() || self.shared.chance(share)
    }

    fn answer<T>(&self, answer: T) -> Result<T, BusError> {
        if self.loses_answer() {
            Err(lost())
        } else {
            Ok(answer)
        }
    }
}

fn lost() -> BusError {
    BusError::Unavailable("the answer was lost".to_owned())
}

impl Shared {
    fn chance(&self, share: f64) -> bool {
        share > 0.0 && self.rng.lock().random_bool(share.min(1.0))
    }
}

impl BusListener for FaultyListener {
    fn message(&self, _: &str, message: Bytes) {
        let faults = *self.shared.faults.lock();
        if self.is_partitioned() || self.shared.chance(faults.drop) {
            return;
        }
        if self.shared.chance(faults.duplicate) {
            self.deliver_later(message.clone(), faults.delay_max);
        }
        if self.shared.chance(faults.delay) {
            self.deliver_later(message, faults.delay_max);
        } else {
            self.inner.message(&self.topic, message);
        }
    }

    fn gap(&self, _: &str) {
        if !self.is_partitioned() {
            self.inner.gap(&self.topic);
        }
    }
}

impl FaultyListener {
    fn is_partitioned(&self) -> bool {
        *self.shared.partitioned.borrow()
    }

    fn deliver_later(&self, message: Bytes, max: Duration) {
        if self.shared.delayed.fetch_add(1, Ordering::Relaxed) >= MAX_DELAYED {
            self.shared.delayed.fetch_sub(1, Ordering::Relaxed);
            self.inner.message(&self.topic, message);
            return;
        }
        let wait = max.mul_f64(self.shared.rng.lock().random::<f64>());
        let shared = Arc::clone(&self.shared);
        let (listener, topic) = (Arc::clone(&self.inner), self.topic.clone());
        tokio::spawn(async move {
            sleep(wait).await;
            shared.delayed.fetch_sub(1, Ordering::Relaxed);
            if !*shared.partitioned.borrow() {
                listener.message(&topic, message);
            }
        });
    }
}

#[async_trait]
impl Bus for FaultyBus {
    fn publish(&self, topic: &str, message: Bytes) {
        if !self.is_partitioned() {
            self.inner.publish(topic, message);
        }
    }

    fn subscribe(&self, topic: &str, listener: Arc<dyn BusListener>) -> Subscription {
        let listener = Arc::new(FaultyListener {
            shared: Arc::clone(&self.shared),
            topic: topic.to_owned(),
            inner: listener,
            confirmed: watch::Sender::new(false),
        });
        let inner = Arc::new(
            self.inner
                .subscribe(topic, Arc::<FaultyListener>::clone(&listener)),
        );
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        self.shared.listeners.lock().insert(id, Arc::clone(&listener));
        let confirmed = listener.confirmed.subscribe();
        let confirming = tokio::spawn(confirm(Arc::clone(&inner), listener, id));
        let shared = Arc::clone(&self.shared);
        Subscription::new(confirmed, move || {
            confirming.abort();
            shared.listeners.lock().remove(&id);
            drop(inner);
        })
    }

    async fn check(&self) -> Result<(), BusError> {
        self.inner()?.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
        self.shared.listeners.lock().clear();
    }
}

/// Confirms a subscription when the inner bus has confirmed it and no partition is in effect.
async fn confirm(inner: Arc<Subscription>, listener: Arc<FaultyListener>, id: u64) {
    let mut partitioned = listener.shared.partitioned.subscribe();
    inner.confirmed().await;
    let healed = partitioned.wait_for(|partitioned| !partitioned).await.is_ok();
    if healed && inner.is_confirmed() {
        listener.confirmed.send_replace(true);
    } else {
        // The inner bus has closed.
        listener.shared.listeners.lock().remove(&id);
    }
}

#[async_trait]
impl Membership for FaultyBus {
    async fn heartbeat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Heartbeat, BusError> {
        let mut answer = self.inner()?.heartbeat(member, info, ttl).await?;
        // Repeats `Started` until the member has received it.
        if answer == Heartbeat::Renewed && self.unanswered_starts.lock().remove(member) {
            answer = Heartbeat::Started;
        }
        if self.loses_answer() {
            if answer == Heartbeat::Started {
                self.unanswered_starts.lock().insert(member.to_owned());
            }
            return Err(lost());
        }
        Ok(answer)
    }

    async fn leave(&self, member: &str, linger: Duration) -> Result<(), BusError> {
        self.inner()?.leave(member, linger).await?;
        self.answer(())
    }

    async fn members(&self) -> Result<Vec<Entry>, BusError> {
        let members = self.inner()?.members().await?;
        self.answer(members)
    }

    async fn put(&self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError> {
        let others = self.inner()?.put(member, key, value).await?;
        self.answer(others)
    }

    async fn remove(&self, member: &str, key: &str) -> Result<Vec<Entry>, BusError> {
        let others = self.inner()?.remove(member, key).await?;
        self.answer(others)
    }

    async fn entries(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, BusError> {
        let entries = self.inner()?.entries(keys).await?;
        self.answer(entries)
    }

    async fn take_expired(&self, limit: usize) -> Result<Vec<ExpiredEntry>, BusError> {
        let inner = self.inner()?;
        let mut expired = std::mem::take(&mut *self.unanswered_expired.lock());
        let found = inner.take_expired(limit.saturating_sub(expired.len())).await;
        match found {
            Ok(found) => expired.extend(found),
            Err(error) if expired.is_empty() => return Err(error),
            Err(_) => {}
        }
        let is_lost = self.loses_answer();
        let answered = if is_lost { 0 } else { limit.min(expired.len()) };
        // Keeps the rest for a later answer.
        self.unanswered_expired.lock().extend(expired.drain(answered..));
        if is_lost {
            return Err(lost());
        }
        Ok(expired)
    }

    async fn acquire_lock(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError> {
        let acquired = self.inner()?.acquire_lock(member, name, ttl).await?;
        self.answer(acquired)
    }
}
