//! Unread counts on all nodes.

use roomful_testkit::SioClient;
use serde_json::{Value, json};

use super::Nodes;
use crate::fixture::{ok, send};

/// The counts that a client gets until it gets one of the room `marker`, by room.
async fn counts_before_marker(client: &SioClient) -> Vec<Value> {
    let mut counts = Vec::new();
    loop {
        let event = client.next_event("chat:unread").await.unwrap();
        if event["room"] == "marker" {
            return counts;
        }
        counts.push(json!([event["room"], event["unread"]]));
    }
}

#[tokio::test]
async fn changes_that_leave_the_counts_as_they_are_send_none_on_any_node() {
    let nodes = Nodes::start(3).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    ok(alice.call("chat:join", &json!("marker")).await);
    // One node serves the room for another client, one does not serve it.
    let _carol = nodes[1].joined("carol", "lobby").await;
    let mut phones = Vec::new();
    let mut markers = Vec::new();
    for node in 0..3 {
        markers.push(nodes[node].joined(&format!("dora-{node}"), "marker").await);
        let phone = nodes[node].connect("bob").await;
        if node == 0 {
            for room in ["lobby", "marker"] {
                ok(phone.call("chat:join", &json!(room)).await);
                ok(phone.call("chat:unsubscribe", &json!(room)).await);
            }
        }
        phones.push(phone);
    }
    let mark = async || {
        send(&alice, "marker", "done").await;
        for client in &markers {
            client.next_event("chat:receive_message").await.unwrap();
        }
        nodes.clock.advance(1_000);
    };
    send(&alice, "lobby", "one").await;
    mark().await;
    for phone in &phones {
        assert_eq!(counts_before_marker(phone).await, [json!(["lobby", 1])]);
    }
    let edit = json!({ "room": "lobby", "seq": 1, "text": "two" });
    ok(alice.call("chat:edit_message", &edit).await);
    let react = json!({ "room": "lobby", "seq": 1, "emoji": "+" });
    ok(alice.call("chat:react", &react).await);
    mark().await;
    for phone in &phones {
        assert_eq!(counts_before_marker(phone).await, Vec::<Value>::new());
    }
    let delete = json!({ "room": "lobby", "seq": 1 });
    ok(alice.call("chat:delete_message", &delete).await);
    mark().await;
    for phone in &phones {
        assert_eq!(counts_before_marker(phone).await, [json!(["lobby", 0])]);
    }
}
