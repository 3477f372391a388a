//! A Redis Cluster: the contract suite, sharded channels, and slots that move.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use roomful_bus::{
    Bus, BusError, Heartbeat, Options, bus_contract,
    contract::{Harness, Received, Recorder, until},
};
use roomful_testkit::RedisCluster;

use super::{LONG, NO_PERSISTENCE, arrives, connect, quick};

const NOTHING: Bytes = Bytes::new();

struct Cluster(RedisCluster);

pub(crate) fn url(cluster: &RedisCluster) -> String {
    format!("redis+cluster://{}", cluster.nodes()[0].addr())
}

#[async_trait]
impl Harness for Cluster {
    async fn connect(&self) -> Result<Arc<dyn Bus>, BusError> {
        // A scope like that of a node.
        let mut options = Options::default();
        options.scope = "0123456789abcdef".into();

        connect(&url(&self.0), options).await
    }
}

bus_contract!(async { Cluster(RedisCluster::start(3, &NO_PERSISTENCE).await.unwrap()) });

/// Subscribes to enough topics to have some on each master.
async fn subscribe_to_many(bus: &Arc<dyn Bus>) -> (Arc<Recorder>, Vec<roomful_bus::Subscription>) {
    let recorder = Recorder::new();
    let all: Vec<_> = (0..100)
        .map(|number| bus.subscribe(&number.to_string(), Arc::<Recorder>::clone(&recorder)))
        .collect();
    for subscription in &all {
        subscription.confirmed().await;
    }
    (recorder, all)
}

#[tokio::test]
async fn a_channel_is_on_one_master_only() {
    let cluster = RedisCluster::start(3, &[]).await.unwrap();
    let bus = connect(&url(&cluster), Options::default()).await.unwrap();
    let (_, all) = subscribe_to_many(&bus).await;
    let mut channels = Vec::new();
    for node in 0..3 {
        let here = cluster.call(node, &["PUBSUB", "SHARDCHANNELS"]).await.unwrap();
        let here = here.as_array().unwrap().clone();
        assert!(here.len() > 10, "{here:?}");
        channels.extend(here);
    }
    assert_eq!(channels.len(), all.len());
}

#[tokio::test]
async fn a_replica_takes_over_from_a_dead_master() {
    let mut cluster = RedisCluster::start(3, &[]).await.unwrap();
    for master in 0..3 {
        cluster.add_replica(master).await.unwrap();
    }
    let url = url(&cluster);
    let (a, b) = (
        connect(&url, quick()).await.unwrap(),
        connect(&url, quick()).await.unwrap(),
    );
    let (at_b, all) = subscribe_to_many(&b).await;
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
    // The node of the URL.
    cluster.nodes_mut()[0].kill9().await.unwrap();
    let received = at_b.next().await;
    assert!(matches!(received, Received::Gap(_)), "{received:?}");
    for number in 0..all.len() {
        arrives(&a, &number.to_string(), &at_b, "after").await.unwrap();
    }
    until("the membership registry", async || Ok(a.check().await.is_ok()))
        .await
        .unwrap();
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Renewed));
}

#[tokio::test]
async fn topics_follow_their_slots_to_another_master() {
    let cluster = RedisCluster::start(3, &[]).await.unwrap();
    let (a, b) = (
        connect(&url(&cluster), quick()).await.unwrap(),
        connect(&url(&cluster), quick()).await.unwrap(),
    );
    let (at_b, all) = subscribe_to_many(&b).await;
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));

    // Moves slots from the master of the registry to another with the commands of redis-cli, but drops
    // the keys.
    let names = (0..all.len()).map(|number| format!("roomful:t:{number}"));
    let mut slots = Vec::new();
    for name in ["{roomful:membership}".to_owned()].into_iter().chain(names) {
        let slot = cluster.call(0, &["CLUSTER", "KEYSLOT", &name]).await.unwrap();
        slots.push(slot.as_u64().unwrap());
    }
    let owner = |slot: u64| usize::try_from(slot * 3 / 16_384).unwrap();
    let from = owner(slots[0]);
    let to = (from + 1) % 3;
    let mut ids = Vec::new();
    for node in [from, to] {
        let id = cluster.call(node, &["CLUSTER", "MYID"]).await.unwrap();
        ids.push(id.as_str().unwrap().to_owned());
    }
    cluster.call(from, &["FLUSHALL"]).await.unwrap();
    let moving: Vec<_> = slots.into_iter().filter(|slot| owner(*slot) == from).collect();
    assert!(moving.len() > 10, "{moving:?}");
    for slot in moving.iter().map(ToString::to_string) {
        for (node, state, id) in [
            (to, "IMPORTING", &ids[0]),
            (from, "MIGRATING", &ids[1]),
            (to, "NODE", &ids[1]),
            (from, "NODE", &ids[1]),
        ] {
            let words = ["CLUSTER", "SETSLOT", &slot, state, id];
            cluster.call(node, &words).await.unwrap();
        }
    }
    let received = at_b.next().await;
    assert!(matches!(received, Received::Gap(_)), "{received:?}");
    for number in 0..all.len() {
        arrives(&a, &number.to_string(), &at_b, "after").await.unwrap();
    }
    until("the membership registry", async || Ok(a.check().await.is_ok()))
        .await
        .unwrap();
    until("a heartbeat", async || {
        Ok(a.heartbeat("a", NOTHING, LONG).await.is_ok())
    })
    .await
    .unwrap();
}
