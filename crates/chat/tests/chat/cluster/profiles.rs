//! Profiles across nodes.

use roomful_store::ProfileChange;
use serde_json::json;

use super::Nodes;
use crate::fixture::{START, ok, send};

#[tokio::test]
async fn live_messages_of_other_nodes_carry_the_pictures_of_their_authors() {
    let nodes = Nodes::start(2).await;
    let bob = nodes[1].joined("bob", "lobby").await;
    let claims = json!({
        "sub": "alice", "name": "Alice", "avatar": "https://x.test/1.png", "exp": START / 1000 + 3_600,
    });
    let alice = nodes[0].connect_with(&claims).await;
    ok(alice.call("chat:join", &json!("lobby")).await);
    send(&alice, "lobby", "hi").await;
    let message = bob.next_event("chat:receive_message").await.unwrap();
    assert_eq!(message["avatar"], "https://x.test/1.png");

    let change = ProfileChange {
        avatar: Some(Some("https://x.test/2.png".to_owned())),
        ..ProfileChange::default()
    };
    nodes[0].chat.set_profile("alice", change).await.unwrap();
    loop {
        let updated = bob.next_event("user:updated").await.unwrap();
        if updated["avatar"] == "https://x.test/2.png" {
            break;
        }
    }
    send(&alice, "lobby", "hi again").await;
    let message = bob.next_event("chat:receive_message").await.unwrap();
    assert_eq!(message["avatar"], "https://x.test/2.png");
}
