//! Reads of other nodes' room lists from the membership registry.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use roomful_bus::{
    Bus, BusError, BusListener, Entry, ExpiredEntry, Heartbeat, Hub, Membership, Subscription,
};
use roomful_chat::{ClusterConfig, clock::ManualClock};
use serde_json::json;

use crate::fixture::{START, Server, new_store, ok};

/// A bus that records its reads.
struct Watched {
    inner: Arc<dyn Bus>,
    read: Mutex<Vec<String>>,
}

impl Watched {
    /// Waits for this many poll rounds, and returns the lists read meanwhile.
    async fn lists_read_within(&self, looks: usize) -> Vec<String> {
        self.read.lock().clear();
        while self.read.lock().iter().filter(|key| *key == "members").count() < looks {
            tokio::task::yield_now().await;
        }
        let mut read = self.read.lock().clone();
        read.retain(|key| key.starts_with("room:"));
        read
    }
}

#[async_trait]
impl Bus for Watched {
    fn publish(&self, topic: &str, message: Bytes) {
        self.inner.publish(topic, message);
    }
    fn subscribe(&self, topic: &str, listener: Arc<dyn BusListener>) -> Subscription {
        self.inner.subscribe(topic, listener)
    }
    async fn check(&self) -> Result<(), BusError> {
        self.inner.check().await
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}

#[async_trait]
impl Membership for Watched {
    async fn heartbeat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Heartbeat, BusError> {
        self.inner.heartbeat(member, info, ttl).await
    }
    async fn leave(&self, member: &str, linger: Duration) -> Result<(), BusError> {
        self.inner.leave(member, linger).await
    }
    async fn members(&self) -> Result<Vec<Entry>, BusError> {
        self.read.lock().push("members".into());
        self.inner.members().await
    }
    async fn put(&self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError> {
        self.inner.put(member, key, value).await
    }
    async fn remove(&self, member: &str, key: &str) -> Result<Vec<Entry>, BusError> {
        self.inner.remove(member, key).await
    }
    async fn entries(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, BusError> {
        self.read.lock().extend_from_slice(keys);
        self.inner.entries(keys).await
    }
    async fn take_expired(&self, limit: usize) -> Result<Vec<ExpiredEntry>, BusError> {
        self.inner.take_expired(limit).await
    }
    async fn acquire_lock(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError> {
        self.inner.acquire_lock(member, name, ttl).await
    }
}

#[tokio::test]
async fn unchanged_lists_are_not_read_again() {
    let (store, _data) = new_store();
    let (hub, clock) = (Hub::default(), ManualClock::at(START));
    let watched = Arc::new(Watched {
        inner: hub.connect(),
        read: Mutex::default(),
    });
    let serve = |node: &str, bus: Arc<dyn Bus>| {
        let cluster = ClusterConfig {
            bus,
            node: node.to_owned(),
            info: serde_json::Map::new(),
            lease: Duration::from_secs(15),
            poll: Duration::from_hours(1),
        };
        Server::serve(Arc::clone(&store), clock.clone(), |_| (), Some(cluster))
    };
    let here = serve("here", watched.clone()).await;
    let there = serve("there", hub.connect()).await;
    let alice = here.joined("alice", "a").await;
    ok(alice.call("chat:join", &json!("b")).await);
    let bob = there.joined("bob", "a").await;
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "bob"
    );
    // A new node appeared, so all lists are read once more.
    watched.lists_read_within(4).await;
    assert!(watched.lists_read_within(4).await.is_empty());
    // Of the local ones, only the changed list.
    let room = store.open_room("a", false, START).await.unwrap().unwrap().id;
    ok(bob
        .call("presence:set_status", &json!({ "status": "away" }))
        .await);
    assert_eq!(
        alice.next_event("presence:status").await.unwrap()["status"],
        "away"
    );
    let read = watched.lists_read_within(4).await;
    assert!(read.iter().all(|key| *key == format!("room:{room}")), "{read:?}");
}
