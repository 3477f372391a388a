//! Leaving the cluster, and offline events while the membership registry fails.

use std::{sync::Arc, time::Duration};

use roomful_bus::{Faults, FaultyBus, Hub};
use roomful_chat::{ClusterConfig, clock::ManualClock};
use roomful_store::{LifecycleEvent, Options, OutboxOptions, RecordKind, Sink, Store};
use roomful_testkit::{PATIENCE, SioClient};
use tokio::time::timeout;

use super::member;
use crate::fixture::{START, Server, new_store, settle};

/// A lease that does not expire during a test.
const LONG_LEASE: Duration = Duration::from_hours(1);
const POLL: Duration = Duration::from_hours(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_gives_the_lease_back() {
    let (store, _data) = new_store();
    let (hub, clock) = (Hub::default(), ManualClock::at(START));
    let start = async |n: usize| {
        let cluster = ClusterConfig {
            lease: LONG_LEASE,
            ..member(hub.connect(), n, POLL)
        };
        let change = |config: &mut roomful_chat::ChatConfig| config.presence_grace_ms = 1_000;
        Server::serve(Arc::clone(&store), clock.clone(), change, Some(cluster)).await
    };
    let (staying, stopping) = (start(0).await, start(1).await);
    let alice = staying.joined("alice", "lobby").await;
    let (bob, carol) = (
        stopping.joined("bob", "lobby").await,
        stopping.joined("carol", "lobby").await,
    );
    for _ in 0..2 {
        alice.next_event("presence:online").await.unwrap();
    }
    for client in [bob, carol] {
        client.abort().await;
    }
    while stopping.chat.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(staying.chat.other_nodes().await.unwrap().len(), 1);
    stopping.chat.drain().await;
    let others = staying.chat.other_nodes().await.unwrap();
    assert!(others.is_empty(), "a node that has left is listed: {others:?}");
    let _carol = staying.joined("carol", "lobby").await;
    // The lease would keep bob online for an hour.
    let offline = alice.next_event("presence:offline").await.unwrap();
    assert_eq!(offline["userId"], "bob");
    settle(&alice).await;
    let more = alice.drain("presence:offline");
    assert!(more.is_empty(), "carol returned within the grace: {more:?}");
}

/// A store that records users' arrivals and departures in its outbox.
fn store_with_outbox() -> (Arc<dyn Store>, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", data.path().join("chat.db").display());
    let sink = Sink {
        name: "test".to_owned(),
        kinds: vec![RecordKind::UserOnline, RecordKind::UserOffline],
    };
    let options = Options {
        outbox: OutboxOptions {
            sinks: vec![sink],
            ..OutboxOptions::default()
        },
        ..Options::default()
    };
    (roomful_store::open(&url, options).unwrap(), data)
}

/// Lets time pass until the outbox has a record of this kind for the user.
async fn pass_time_until(clock: &ManualClock, store: &Arc<dyn Store>, kind: RecordKind, user: &str) {
    let mut changes = store.outbox().unwrap().changes();
    let recorded = async {
        for round in 0.. {
            let records = store.outbox().unwrap().list(None, 100).await.unwrap();
            if records
                .iter()
                .any(|record| record.kind == kind && record.user_id.as_deref() == Some(user))
            {
                return;
            }
            // Not so far that the tokens of the test expire.
            if round < 600 {
                clock.advance(1_000);
            }
            let _ = timeout(Duration::from_millis(20), changes.changed()).await;
        }
    };
    timeout(PATIENCE, recorded)
        .await
        .unwrap_or_else(|_| panic!("no {kind:?} of {user}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_reported_offline_while_the_registry_is_unreachable() {
    let (store, _data) = store_with_outbox();
    let (hub, clock) = (Hub::default(), ManualClock::at(START));
    // Both were online when the process before was killed.
    let online = |user: &str| LifecycleEvent::UserOnline {
        user: user.to_owned(),
        name: None,
        at: START,
    };
    let outbox = store.outbox().unwrap();
    outbox.record(vec![online("bob"), online("gone")]).await.unwrap();
    let bus = FaultyBus::new(hub.connect(), 1, Faults::default());
    let start = async |bus: Arc<dyn roomful_bus::Bus>, n: usize| {
        let cluster = Some(ClusterConfig {
            lease: LONG_LEASE,
            ..member(bus, n, POLL)
        });
        Server::serve(Arc::clone(&store), clock.clone(), |_| (), cluster).await
    };
    // The first node waits for users to return. Bob returns on the second one.
    let first = start(bus.clone(), 0).await;
    let second = start(hub.connect(), 1).await;
    let bob: SioClient = second.connect("bob").await;
    bus.partition();
    for _ in 0..60 {
        clock.advance(1_000);
        settle(&bob).await;
    }
    bus.heal();
    pass_time_until(&clock, &store, RecordKind::UserOffline, "gone").await;
    // Records of one node are in order: after this one, a report about bob would be there too.
    let _erin = first.connect("erin").await;
    pass_time_until(&clock, &store, RecordKind::UserOnline, "erin").await;
    let records = store.outbox().unwrap().list(None, 100).await.unwrap();
    let wrong = records
        .iter()
        .find(|record| record.kind == RecordKind::UserOffline && record.user_id.as_deref() == Some("bob"));
    assert_eq!(wrong, None, "bob is online on the second node");
}
