//! Typing as other members see it.

use roomful_testkit::SioClient;
use serde_json::json;

use crate::fixture::{Server, failed, ok, send, settle};

#[tokio::test]
async fn typing_is_debounced_and_expires() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let event = json!({ "room": "lobby", "userId": "alice" });
    for _ in 0..3 {
        assert_eq!(
            ok(alice.call("chat:typing_start", &json!("lobby")).await),
            json!({})
        );
    }
    assert_eq!(bob.next_event("chat:typing_start").await.unwrap(), event);
    server.clock.advance(6_000);
    assert_eq!(bob.next_event("chat:typing_stop").await.unwrap(), event);
    settle(&bob).await;
    assert!(bob.drain("chat:typing_start").is_empty());
    settle(&alice).await;
    assert!(
        alice.drain("chat:typing_start").is_empty(),
        "typists get no event about themselves"
    );
}

#[tokio::test]
async fn typing_ends_by_stop_send_leave_and_disconnect() {
    let server = Server::with(|config| config.typing.pass_every_ms = 0).await;
    let bob = server.joined("bob", "lobby").await;
    let stopped = async || bob.next_event("chat:typing_stop").await.unwrap()["userId"].clone();
    let types = async |client: &SioClient, user: &str| {
        ok(client
            .call("chat:typing_start", &json!({ "room": "lobby" }))
            .await);
        assert_eq!(bob.next_event("chat:typing_start").await.unwrap()["userId"], user);
    };
    let alice = server.joined("alice", "lobby").await;
    types(&alice, "alice").await;
    ok(alice.call("chat:typing_stop", &json!("lobby")).await);
    assert_eq!(stopped().await, "alice");

    types(&alice, "alice").await;
    send(&alice, "lobby", "done").await;
    assert_eq!(stopped().await, "alice");

    types(&alice, "alice").await;
    ok(alice.call("chat:leave", &json!("lobby")).await);
    assert_eq!(stopped().await, "alice");
    failed(
        alice.call("chat:typing_start", &json!("lobby")).await,
        "forbidden",
    );

    let carol = server.joined("carol", "lobby").await;
    types(&carol, "carol").await;
    carol.abort().await;
    assert_eq!(stopped().await, "carol");
}
