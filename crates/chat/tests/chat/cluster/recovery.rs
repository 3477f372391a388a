//! Coming back on another node.

use std::time::Duration;

use serde_json::json;

use super::{Nodes, is_closed, seq, strangers};
use crate::{
    fixture::{ok, send},
    recovery::{come_back, lose, messages},
};

#[tokio::test]
async fn a_client_comes_back_on_any_node_and_finds_all_it_missed() {
    let nodes = Nodes::start(3).await;
    // Every node has begun before: a node's first session tells the store what was lost with the process before it.
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
            // The old connection believes that it lives.
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
async fn a_session_misses_nothing_in_a_room_whose_newest_the_node_has_not_come_to() {
    let (here, there, _data) = strangers(Duration::from_hours(1)).await;
    for node in [&here, &there] {
        node.connect("starter").await;
    }
    let alice = here.joined("alice", "lobby").await;
    let bob = here.joined("bob", "lobby").await;
    send(&alice, "lobby", "seen").await;
    bob.next_event("chat:receive_message").await.unwrap();
    let (claim, _) = lose(&here, bob).await;
    // What Carol says brings the other node up to here, and no further.
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
