//! Recovery on another node.

use std::time::Duration;

use serde_json::json;

use super::{Nodes, is_closed, isolated_nodes, seq};
use crate::{
    fixture::{ok, send},
    recovery::{come_back, lose, messages},
};

#[tokio::test]
async fn a_client_recovers_on_any_node_with_all_missed_events() {
    let nodes = Nodes::start(3).await;
    // Start every node's first session now: it marks the sessions of the node's previous run as lost.
    for n in 0..3 {
        nodes[n].connect("starter").await;
    }
    let alice = nodes[0].joined("alice", "a").await;
    ok(alice.call("chat:join", &json!("b")).await);
    let bob = nodes[1].joined("bob", "a").await;
    ok(bob.call("chat:join", &json!("b")).await);
    let mut seen = 0;
    let (mut bob, mut at) = (bob, 1);
    for round in 0..6 {
        send(&alice, "a", "seen").await;
        send(&alice, "b", "seen").await;
        for _ in 0..2 {
            bob.next_event("chat:receive_message").await.unwrap();
        }
        seen += 1;
        let next = (at + 1) % 3;
        let (claim, old) = if round % 2 == 0 {
            let (claim, _) = lose(&nodes[at], bob).await;
            (claim, None)
        } else {
            // The old connection is half-open.
            (bob.claim(), Some(bob))
        };
        send(&alice, "b", "missed").await;
        send(&alice, "a", "missed").await;
        let recovered;
        (bob, recovered) = come_back(&nodes[next], "bob", &claim).await;
        assert!(recovered, "round {round}");
        seen += 1;
        let mut got = messages(&bob);
        while got.len() < 2 {
            let message = bob.next_event("chat:receive_message").await.unwrap();
            got.push((message["room"].as_str().unwrap().to_owned(), seq(&message)));
        }
        assert_eq!(got, [("b".to_owned(), seen), ("a".to_owned(), seen)]);
        if let Some(old) = old {
            is_closed(&old).await;
        }
        at = next;
    }
}

#[tokio::test]
async fn recovery_on_a_lagging_node_misses_nothing() {
    let (here, there, _data) = isolated_nodes(Duration::from_hours(1)).await;
    for node in [&here, &there] {
        node.connect("starter").await;
    }
    let alice = here.joined("alice", "lobby").await;
    let bob = here.joined("bob", "lobby").await;
    send(&alice, "lobby", "seen").await;
    bob.next_event("chat:receive_message").await.unwrap();
    let (claim, _) = lose(&here, bob).await;
    // Carol's message brings the other node up to its own position and no further.
    let carol = there.joined("carol", "den").await;
    send(&carol, "den", "one").await;
    send(&alice, "lobby", "missed").await;
    let (bob, recovered) = come_back(&there, "bob", &claim).await;
    assert!(recovered);
    send(&alice, "lobby", "later").await;
    send(&carol, "den", "two").await;
    let mut got = messages(&bob);
    while got.len() < 2 {
        let message = bob.next_event("chat:receive_message").await.unwrap();
        got.push((message["room"].as_str().unwrap().to_owned(), seq(&message)));
    }
    assert_eq!(got, [("lobby".to_owned(), 2), ("lobby".to_owned(), 3)]);
}
