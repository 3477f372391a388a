//! A bus within one process: what a server on one node uses, and what tests make clusters of.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::watch, time::Instant};

use crate::{Beat, Bus, BusError, Entry, Listener, MemberId, Roster, Subscription, Swept};

/// Joins ends within this process. Clones are the same hub.
#[derive(Clone, Default)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    next: AtomicU64,
    topics: Mutex<HashMap<String, Vec<Hearing>>>,
    roster: Mutex<State>,
}

/// One subscription.
struct Hearing {
    id: u64,
    end: u64,
    listener: Arc<dyn Listener>,
}

/// One end.
struct Memory {
    hub: Arc<Shared>,
    id: u64,
    closed: AtomicBool,
}

impl Hub {
    /// A new end.
    pub fn connect(&self) -> Arc<dyn Bus> {
        Arc::new(Memory {
            hub: Arc::clone(&self.shared),
            id: self.shared.next.fetch_add(1, Ordering::Relaxed),
            closed: AtomicBool::new(false),
        })
    }
}

impl Memory {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn roster(&self) -> Result<MutexGuard<'_, State>, BusError> {
        if self.is_closed() {
            return Err(BusError::Unavailable("it was closed".to_owned()));
        }
        Ok(self.hub.roster.lock())
    }
}

#[async_trait]
impl Bus for Memory {
    fn publish(&self, topic: &str, message: Bytes) {
        if self.is_closed() {
            return;
        }
        // Called outside the lock: a listener may publish and subscribe.
        let listeners: Vec<_> = self
            .hub
            .topics
            .lock()
            .get(topic)
            .into_iter()
            .flatten()
            .filter(|hearing| hearing.end != self.id)
            .map(|hearing| Arc::clone(&hearing.listener))
            .collect();
        for listener in listeners {
            listener.message(topic, message.clone());
        }
    }

    fn subscribe(&self, topic: &str, listener: Arc<dyn Listener>) -> Subscription {
        if self.is_closed() {
            return Subscription::new(watch::channel(false).1, || {});
        }
        let id = self.hub.next.fetch_add(1, Ordering::Relaxed);
        let hearing = Hearing {
            id,
            end: self.id,
            listener,
        };
        self.hub
            .topics
            .lock()
            .entry(topic.to_owned())
            .or_default()
            .push(hearing);
        let (hub, topic) = (Arc::clone(&self.hub), topic.to_owned());
        Subscription::new(watch::channel(true).1, move || hub.forget(&topic, id))
    }

    async fn check(&self) -> Result<(), BusError> {
        self.roster().map(drop)
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.hub.topics.lock().retain(|_, hearings| {
            hearings.retain(|hearing| hearing.end != self.id);
            !hearings.is_empty()
        });
    }
}

impl Shared {
    fn forget(&self, topic: &str, id: u64) {
        let mut topics = self.topics.lock();
        if let Some(hearings) = topics.get_mut(topic) {
            hearings.retain(|hearing| hearing.id != id);
            if hearings.is_empty() {
                topics.remove(topic);
            }
        }
    }
}

// ---- the roster

#[derive(Default)]
struct State {
    /// Members that are alive, or were and still have entries to be swept. A dead one without entries is remembered, so
    /// that it can't come back; a process has few of them.
    members: BTreeMap<MemberId, Member>,
    entries: HashMap<String, BTreeMap<MemberId, Bytes>>,
    leases: HashMap<String, (MemberId, Instant)>,
}

struct Member {
    info: Bytes,
    until: Instant,
}

impl State {
    fn is_alive(&self, member: &str) -> bool {
        let now = Instant::now();
        self.members.get(member).is_some_and(|member| now < member.until)
    }

    fn must_live(&self, member: &str) -> Result<(), BusError> {
        if self.is_alive(member) {
            Ok(())
        } else {
            Err(BusError::Lapsed)
        }
    }

    fn living(&self, key: &str, but: Option<&str>) -> Vec<Entry> {
        let entries = self.entries.get(key).into_iter().flatten();
        entries
            .filter(|(member, _)| Some(member.as_str()) != but && self.is_alive(member))
            .map(|(member, value)| Entry {
                member: member.clone(),
                value: value.clone(),
            })
            .collect()
    }

    fn take(&mut self, member: &str, key: &str) -> Option<Bytes> {
        let entries = self.entries.get_mut(key)?;
        let value = entries.remove(member);
        if entries.is_empty() {
            self.entries.remove(key);
        }
        value
    }
}

#[async_trait]
impl Roster for Memory {
    async fn beat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Beat, BusError> {
        let mut state = self.roster()?;
        let known = state.members.contains_key(member);
        if known && !state.is_alive(member) {
            return Ok(Beat::Lapsed);
        }
        let until = Instant::now() + ttl;
        state.members.insert(member.to_owned(), Member { info, until });
        Ok(if known { Beat::Renewed } else { Beat::Began })
    }

    async fn resign(&self, member: &str) -> Result<(), BusError> {
        if let Some(member) = self.roster()?.members.get_mut(member) {
            member.until = Instant::now();
        }
        Ok(())
    }

    async fn members(&self) -> Result<Vec<Entry>, BusError> {
        let state = self.roster()?;
        let living = state.members.iter().filter(|(id, _)| state.is_alive(id));
        Ok(living
            .map(|(id, member)| Entry {
                member: id.clone(),
                value: member.info.clone(),
            })
            .collect())
    }

    async fn put(&self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError> {
        let mut state = self.roster()?;
        state.must_live(member)?;
        let entries = state.entries.entry(key.to_owned()).or_default();
        entries.insert(member.to_owned(), value);
        Ok(state.living(key, Some(member)))
    }

    async fn remove(&self, member: &str, key: &str) -> Result<Vec<Entry>, BusError> {
        let mut state = self.roster()?;
        state.must_live(member)?;
        state.take(member, key);
        Ok(state.living(key, Some(member)))
    }

    async fn entries(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, BusError> {
        let state = self.roster()?;
        Ok(keys.iter().map(|key| state.living(key, None)).collect())
    }

    async fn sweep(&self, limit: usize) -> Result<Vec<Swept>, BusError> {
        let mut state = self.roster()?;
        if state.members.keys().all(|member| state.is_alive(member)) {
            // As it is all the time where there is but one node.
            return Ok(Vec::new());
        }
        let mut dead = Vec::new();
        for (key, entries) in &state.entries {
            for member in entries.keys().filter(|member| !state.is_alive(member)) {
                dead.push((key.clone(), member.clone()));
            }
        }
        dead.truncate(limit);
        let mut swept = Vec::with_capacity(dead.len());
        for (key, member) in dead {
            if let Some(value) = state.take(&member, &key) {
                let others = state.living(&key, None);
                let entry = Entry { member, value };
                swept.push(Swept { key, entry, others });
            }
        }
        Ok(swept)
    }

    async fn hold(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError> {
        let mut state = self.roster()?;
        state.must_live(member)?;
        let now = Instant::now();
        let taken = state
            .leases
            .get(name)
            .is_some_and(|(holder, until)| holder != member && now < *until && state.is_alive(holder));
        if !taken {
            state
                .leases
                .insert(name.to_owned(), (member.to_owned(), now + ttl));
        }
        Ok(!taken)
    }
}
