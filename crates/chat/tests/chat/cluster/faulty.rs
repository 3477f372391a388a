//! A bus that loses, repeats and reorders messages: every client still gets everything once and in order.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use roomful_bus::{Faults, FaultyBus, Hub};
use roomful_chat::clock::ManualClock;
use roomful_store::{Log as _, Store};
use roomful_testkit::SioClient;
use serde_json::json;

use super::{member, seq};
use crate::{
    fixture::{START, Server, ok, send},
    flaky::{FlakyStore, flaky_store},
};

const RECEIVE: &str = "chat:receive_message";

/// Nodes on one store, each with a faulty end of the bus.
struct Nodes {
    servers: Vec<Server>,
    buses: Vec<Arc<FaultyBus>>,
    store: Arc<FlakyStore>,
    _data: tempfile::TempDir,
}

impl Nodes {
    async fn start(count: usize, seed: u64, faults: Faults, poll: Duration) -> Self {
        let (store, data) = flaky_store();
        let (hub, clock) = (Hub::default(), ManualClock::at(START));
        let (mut servers, mut buses) = (Vec::new(), Vec::new());
        for n in 0..count {
            let bus = FaultyBus::new(hub.connect(), seed + n as u64, faults);
            buses.push(Arc::clone(&bus));
            let store: Arc<dyn Store> = store.clone();
            let cluster = Some(member(bus, n, poll));
            let change = |config: &mut roomful_chat::ChatConfig| config.rates.enabled = false;
            servers.push(Server::serve(store, clock.clone(), change, cluster).await);
        }
        Self {
            servers,
            buses,
            store,
            _data: data,
        }
    }
}

/// The seqs of the next messages in the room.
async fn next(client: &SioClient, room: &str, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        let message = client.next_event(RECEIVE).await.unwrap();
        if message["room"] == room {
            seqs.push(seq(&message));
        }
    }
    seqs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_that_the_log_does_not_have_keeps_nobody_from_later_messages() {
    let (store, _data) = flaky_store();
    let (hub, clock) = (Hub::default(), ManualClock::at(START));
    let cluster = Some(member(hub.connect(), 0, Duration::from_hours(1)));
    let server = Server::serve(store.clone(), clock, |_| (), cluster).await;
    let client = server.joined("alice", "lobby").await;
    send(&client, "lobby", "before").await;
    let reads = || store.hooks.reads.load(Ordering::SeqCst);
    let before = reads();
    let hint = json!({
        "epoch": store.log_head().epoch, "first": 150, "rooms": [[1, "lobby"]], "room_of": [0],
    });
    hub.connect().publish("log", hint.to_string().into_bytes().into());
    // The node looks for the positions up to this one.
    while reads() == before {
        tokio::task::yield_now().await;
    }
    for text in ["one", "two", "three"] {
        send(&client, "lobby", text).await;
    }
    assert_eq!(next(&client, "lobby", 4).await, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_bus_loses_repeats_and_reorders_nothing_for_clients() {
    const EACH: usize = 60;
    let faults = Faults {
        drop: 0.3,
        duplicate: 0.3,
        delay: 0.3,
        delay_max: Duration::from_millis(40),
        unanswered: 0.0,
    };
    for seed in [1, 100, 10_000] {
        let nodes = Nodes::start(3, seed, faults, Duration::from_millis(20)).await;
        let mut clients = Vec::new();
        for (n, server) in nodes.servers.iter().enumerate() {
            clients.push(Arc::new(server.joined(&format!("user-{n}"), "lobby").await));
        }
        let senders = clients.iter().map(|client| {
            let client = Arc::clone(client);
            tokio::spawn(async move {
                for n in 0..EACH {
                    send(&client, "lobby", &n.to_string()).await;
                }
            })
        });
        for sender in senders.collect::<Vec<_>>() {
            sender.await.unwrap();
        }
        for client in &clients {
            let heard = next(client, "lobby", 3 * EACH).await;
            assert!(
                heard.iter().copied().eq(1..=3 * EACH as u64),
                "seed {seed}: {heard:?}"
            );
        }
        // Nothing comes twice: the next message sent is the next one received.
        send(&clients[0], "lobby", "last").await;
        for client in &clients {
            assert_eq!(
                next(client, "lobby", 1).await,
                [3 * EACH as u64 + 1],
                "seed {seed}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_of_many_rooms_are_read_together() {
    const ROOMS: usize = 40;
    // Nothing polls the store: the gap itself makes the node read.
    let nodes = Nodes::start(2, 1, Faults::default(), Duration::from_hours(1)).await;
    let (alice, bob) = (
        nodes.servers[0].connect("alice").await,
        nodes.servers[1].connect("bob").await,
    );
    let rooms: Vec<_> = (0..ROOMS).map(|n| format!("room-{n}")).collect();
    for room in &rooms {
        ok(alice.call("chat:join", &json!(room)).await);
        ok(bob.call("chat:join", &json!(room)).await);
    }
    nodes.buses[1].partition();
    for room in &rooms {
        send(&alice, room, "missed").await;
    }
    let before = nodes.store.hooks.reads.load(Ordering::SeqCst);
    nodes.buses[1].heal();
    for _ in &rooms {
        let message = bob.next_event(RECEIVE).await.unwrap();
        assert_eq!(message["text"], "missed");
    }
    let reads = nodes.store.hooks.reads.load(Ordering::SeqCst) - before;
    assert!(reads <= 2, "{reads} reads for {ROOMS} rooms");
}
