//! A bus that does what the contract allows it to do at its worst, from a seed: for tests of those who rely on it.
//!
//! Wraps one end. What comes in is lost, repeated, late and out of order, for each listener on its own; the roster's answers
//! get lost; and the end can be cut off from everybody, and healed.

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

use crate::{Beat, Bus, BusError, Entry, Listener, MemberId, Roster, Subscription, Swept};

/// How many messages may be late at once; more come in time.
const LATE: usize = 10_000;

/// How bad it is. Shares are from 0 to 1. The default is none of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Faults {
    /// The share of messages that never come.
    pub drop: f64,
    /// The share of those left that come twice, the second time late.
    pub duplicate: f64,
    /// The share of those left that come late, and so behind others.
    pub delay: f64,
    /// How late, at most.
    pub delay_max: Duration,
    /// The share of the roster's answers that get lost: the caller hears that it is unavailable, but it was done.
    pub unanswered: f64,
}

/// One end of a bus, made worse. Has to be used within a tokio runtime.
pub struct FaultyBus {
    inner: Arc<dyn Bus>,
    shared: Arc<Shared>,
    /// Members whose lease began, and who were not told.
    untold: Mutex<HashSet<MemberId>>,
    /// What was swept, and not told.
    unswept: Mutex<Vec<Swept>>,
}

struct Shared {
    faults: Mutex<Faults>,
    rng: Mutex<StdRng>,
    cut: watch::Sender<bool>,
    next: AtomicU64,
    hearing: Mutex<HashMap<u64, Arc<Hearing>>>,
    late: AtomicUsize,
}

/// A listener as the inner bus sees it.
struct Hearing {
    shared: Arc<Shared>,
    topic: String,
    listener: Arc<dyn Listener>,
    heard: watch::Sender<bool>,
}

impl FaultyBus {
    /// Wraps an end. The same seed makes the same choices, as far as the same messages come in the same order.
    pub fn new(inner: Arc<dyn Bus>, seed: u64, faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            inner,
            shared: Arc::new(Shared {
                faults: Mutex::new(faults),
                rng: Mutex::new(StdRng::seed_from_u64(seed)),
                cut: watch::Sender::new(false),
                next: AtomicU64::new(0),
                hearing: Mutex::default(),
                late: AtomicUsize::new(0),
            }),
            untold: Mutex::default(),
            unswept: Mutex::default(),
        })
    }

    /// Changes how bad it is from now on.
    pub fn set(&self, faults: Faults) {
        *self.shared.faults.lock() = faults;
    }

    /// Cuts the end off: nothing goes out, nothing comes in, and the roster is unavailable.
    pub fn cut(&self) {
        self.shared.cut.send_replace(true);
    }

    /// Ends a cut. Who was heard before is told of a gap; who came meanwhile is heard now.
    pub fn heal(&self) {
        if !self.shared.cut.send_replace(false) {
            return;
        }
        let hearing: Vec<_> = self.shared.hearing.lock().values().cloned().collect();
        for hearing in hearing.iter().filter(|hearing| *hearing.heard.borrow()) {
            hearing.listener.gap(&hearing.topic);
        }
    }

    /// Whether it is cut off.
    pub fn is_cut(&self) -> bool {
        *self.shared.cut.borrow()
    }

    fn reach(&self) -> Result<&dyn Bus, BusError> {
        if self.is_cut() {
            return Err(BusError::Unavailable("this end was cut off".to_owned()));
        }
        Ok(&*self.inner)
    }

    /// Whether an answer of the roster gets lost.
    fn is_lost(&self) -> bool {
        let share = self.shared.faults.lock().unanswered;
        self.is_cut() || self.shared.happens(share)
    }

    fn lose<T>(&self, answer: T) -> Result<T, BusError> {
        if self.is_lost() { Err(lost()) } else { Ok(answer) }
    }
}

fn lost() -> BusError {
    BusError::Unavailable("the answer was lost".to_owned())
}

impl Shared {
    fn happens(&self, share: f64) -> bool {
        share > 0.0 && self.rng.lock().random_bool(share.min(1.0))
    }
}

impl Listener for Hearing {
    fn message(&self, _: &str, message: Bytes) {
        let faults = *self.shared.faults.lock();
        if self.is_deaf() || self.shared.happens(faults.drop) {
            return;
        }
        if self.shared.happens(faults.duplicate) {
            self.later(message.clone(), faults.delay_max);
        }
        if self.shared.happens(faults.delay) {
            self.later(message, faults.delay_max);
        } else {
            self.listener.message(&self.topic, message);
        }
    }

    fn gap(&self, _: &str) {
        if !self.is_deaf() {
            self.listener.gap(&self.topic);
        }
    }
}

impl Hearing {
    fn is_deaf(&self) -> bool {
        *self.shared.cut.borrow()
    }

    fn later(&self, message: Bytes, max: Duration) {
        if self.shared.late.fetch_add(1, Ordering::Relaxed) >= LATE {
            self.shared.late.fetch_sub(1, Ordering::Relaxed);
            self.listener.message(&self.topic, message);
            return;
        }
        let wait = max.mul_f64(self.shared.rng.lock().random::<f64>());
        let shared = Arc::clone(&self.shared);
        let (listener, topic) = (Arc::clone(&self.listener), self.topic.clone());
        tokio::spawn(async move {
            sleep(wait).await;
            shared.late.fetch_sub(1, Ordering::Relaxed);
            if !*shared.cut.borrow() {
                listener.message(&topic, message);
            }
        });
    }
}

#[async_trait]
impl Bus for FaultyBus {
    fn publish(&self, topic: &str, message: Bytes) {
        if !self.is_cut() {
            self.inner.publish(topic, message);
        }
    }

    fn subscribe(&self, topic: &str, listener: Arc<dyn Listener>) -> Subscription {
        let hearing = Arc::new(Hearing {
            shared: Arc::clone(&self.shared),
            topic: topic.to_owned(),
            listener,
            heard: watch::Sender::new(false),
        });
        let inner = Arc::new(self.inner.subscribe(topic, Arc::<Hearing>::clone(&hearing)));
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        self.shared.hearing.lock().insert(id, Arc::clone(&hearing));
        let heard = hearing.heard.subscribe();
        let begins = tokio::spawn(begin(Arc::clone(&inner), hearing, id));
        let shared = Arc::clone(&self.shared);
        Subscription::new(heard, move || {
            begins.abort();
            shared.hearing.lock().remove(&id);
            drop(inner);
        })
    }

    async fn check(&self) -> Result<(), BusError> {
        self.reach()?.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
        self.shared.hearing.lock().clear();
    }
}

/// Says that a listener is heard once the inner bus does, and no cut lies between.
async fn begin(inner: Arc<Subscription>, hearing: Arc<Hearing>, id: u64) {
    let mut cut = hearing.shared.cut.subscribe();
    inner.heard().await;
    let healed = cut.wait_for(|cut| !cut).await.is_ok();
    if healed && inner.is_heard() {
        hearing.heard.send_replace(true);
    } else {
        // The inner bus has ended: nobody waits for it any more.
        hearing.shared.hearing.lock().remove(&id);
    }
}

#[async_trait]
impl Roster for FaultyBus {
    async fn beat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Beat, BusError> {
        let mut beat = self.reach()?.beat(member, info, ttl).await?;
        // A lease begins until its member has heard so.
        if beat == Beat::Renewed && self.untold.lock().remove(member) {
            beat = Beat::Began;
        }
        if self.is_lost() {
            if beat == Beat::Began {
                self.untold.lock().insert(member.to_owned());
            }
            return Err(lost());
        }
        Ok(beat)
    }

    async fn resign(&self, member: &str) -> Result<(), BusError> {
        self.reach()?.resign(member).await?;
        self.lose(())
    }

    async fn members(&self) -> Result<Vec<Entry>, BusError> {
        let members = self.reach()?.members().await?;
        self.lose(members)
    }

    async fn put(&self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError> {
        let others = self.reach()?.put(member, key, value).await?;
        self.lose(others)
    }

    async fn remove(&self, member: &str, key: &str) -> Result<Vec<Entry>, BusError> {
        let others = self.reach()?.remove(member, key).await?;
        self.lose(others)
    }

    async fn entries(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, BusError> {
        let entries = self.reach()?.entries(keys).await?;
        self.lose(entries)
    }

    async fn sweep(&self, limit: usize) -> Result<Vec<Swept>, BusError> {
        let inner = self.reach()?;
        let mut swept = std::mem::take(&mut *self.unswept.lock());
        let found = inner.sweep(limit.saturating_sub(swept.len())).await;
        match found {
            Ok(found) => swept.extend(found),
            Err(error) if swept.is_empty() => return Err(error),
            Err(_) => {}
        }
        let is_lost = self.is_lost();
        let told = if is_lost { 0 } else { limit.min(swept.len()) };
        // What the caller was not told is told later.
        self.unswept.lock().extend(swept.drain(told..));
        if is_lost {
            return Err(lost());
        }
        Ok(swept)
    }

    async fn hold(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError> {
        let has_it = self.reach()?.hold(member, name, ttl).await?;
        self.lose(has_it)
    }
}
