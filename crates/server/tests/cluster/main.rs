//! Tests of a cluster as an operator runs it: several processes of the binary on a real PostgreSQL and a real
//! Redis.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

mod engines;
mod nodes;
mod served;
mod trouble;

use std::{sync::Arc, time::Duration};

use serde_json::json;

use nodes::{Nodes, known_to, ok, say, seq};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_all_nodes_arrive_everywhere_in_one_order() {
    const EACH: u64 = 100;
    let nodes = Nodes::start(3).await;
    let mut clients = Vec::new();
    for n in 0..3 {
        clients.push(Arc::new(nodes.joined(n, &format!("user-{n}"), "lobby").await));
    }
    let senders = clients.iter().enumerate().map(|(at, client)| {
        let client = Arc::clone(client);
        tokio::spawn(async move {
            for n in 0..EACH {
                say(&client, "lobby", &format!("{at}-{n}")).await;
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    let mut received = Vec::new();
    for client in &clients {
        let mut log = Vec::new();
        for _ in 0..3 * EACH {
            log.push(client.next_event("chat:receive_message").await.unwrap());
        }
        assert!(log.iter().map(seq).eq(1..=3 * EACH));
        received.push(log);
    }
    assert_eq!(received[0], received[1]);
    assert_eq!(received[0], received[2]);
    assert_eq!(known_to(&nodes[0]).await, ["node-0", "node-1", "node-2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_recovers_on_another_node_after_a_kill() {
    let mut nodes = Nodes::start(2).await;
    let alice = nodes.joined(0, "alice", "lobby").await;
    let bob = nodes.joined(1, "bob", "lobby").await;
    say(&alice, "lobby", "seen").await;
    bob.next_event("chat:receive_message").await.unwrap();
    nodes.kill(1).await;
    let claim = bob.claim();
    say(&alice, "lobby", "missed").await;
    let (bob, recovered) = nodes.come_back(0, "bob", &claim).await;
    assert!(recovered);
    assert_eq!(seq(&bob.next_event("chat:receive_message").await.unwrap()), 2);
    // Bob returned within the grace, so Alice saw no offline event.
    nodes.restart(1).await;
    let carol = nodes.joined(1, "carol", "lobby").await;
    for user in ["bob", "carol"] {
        assert_eq!(alice.next_event("presence:online").await.unwrap()["userId"], user);
    }
    assert!(alice.drain("presence:offline").is_empty());
    say(&carol, "lobby", "again").await;
    assert_eq!(seq(&bob.next_event("chat:receive_message").await.unwrap()), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_a_killed_node_go_offline_after_its_lease() {
    let mut nodes = Nodes::start(2).await;
    let alice = nodes.joined(0, "alice", "lobby").await;
    let bob = nodes.joined(1, "bob", "lobby").await;
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "bob"
    );
    nodes.kill(1).await;
    drop(bob);
    let gone = alice.find_event(Duration::from_secs(30), "presence:offline", |event| {
        event["userId"] == "bob"
    });
    gone.await.unwrap();
    let online = ok(alice
        .call("chat:get_online_users", &json!("lobby"))
        .await
        .unwrap());
    assert_eq!(online["users"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_node_closes_its_connections_and_loses_nothing() {
    let mut nodes = Nodes::start(2).await;
    let alice = nodes.joined(0, "alice", "lobby").await;
    let bob = nodes.joined(1, "bob", "lobby").await;
    say(&alice, "lobby", "before").await;
    bob.next_event("chat:receive_message").await.unwrap();
    let status = nodes.terminate(1).await;
    assert!(status.success(), "{status}");
    let hint = bob.next_event("server:draining").await.unwrap();
    assert!(hint["retryAfterMs"].is_number());
    bob.wait_end(Duration::from_secs(10)).await.unwrap();
    say(&alice, "lobby", "meanwhile").await;
    let (bob, recovered) = nodes.come_back(0, "bob", &bob.claim()).await;
    assert!(recovered);
    assert_eq!(seq(&bob.next_event("chat:receive_message").await.unwrap()), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_on_another_database_forms_its_own_cluster_on_the_same_redis() {
    let nodes = Nodes::start(2).await;
    let stranger = nodes.stranger().await;
    assert_eq!(known_to(&nodes[1]).await, ["node-0", "node-1"]);
    assert_eq!(known_to(&stranger).await, ["node-2"]);
}
