//! Who sees whose presence.

use roomful_chat::Visibility;
use roomful_store::RoomChange;
use roomful_testkit::{SioClient, token};
use serde_json::{Value, json};

use crate::fixture::{SECRET, Server, claims, ok, settle};

/// Claims that leave the visibility to the server's settings.
fn plain(user: &str) -> Value {
    let mut claims = claims(user);
    claims.as_object_mut().unwrap().remove("presence");
    claims
}

async fn subscribe(client: &SioClient, user: &str) -> Value {
    ok(client
        .call("presence:subscribe", &json!({ "users": [user] }))
        .await)["users"][0]
        .take()
}

#[tokio::test]
async fn a_stranger_looks_like_a_user_who_never_connected() {
    let server = Server::start().await;
    let bob = server.connect_with(&plain("bob")).await;
    let mallory = server.connect_with(&plain("mallory")).await;
    let unknown = json!({ "userId": "bob", "status": "offline", "lastSeen": null });
    assert_eq!(subscribe(&mallory, "bob").await, unknown);
    ok(bob
        .call(
            "presence:set_status",
            &json!({ "status": "busy", "text": "secret" }),
        )
        .await);
    assert_eq!(subscribe(&mallory, "bob").await, unknown);
    settle(&mallory).await;
    for event in ["presence:online", "presence:status", "presence:offline"] {
        assert!(mallory.drain(event).is_empty(), "{event}");
    }
    assert_eq!(
        subscribe(&bob, "bob").await["status"],
        "busy",
        "oneself is always visible"
    );
}

#[tokio::test]
async fn sharing_a_room_shows_presence_and_leaving_it_hides_it() {
    let server = Server::start().await;
    let bob = server.connect_with(&plain("bob")).await;
    let alice = server.connect_with(&plain("alice")).await;
    subscribe(&alice, "bob").await;
    // Alice becomes a member without a subscription to the room.
    server
        .chat
        .put_room("lobby", RoomChange::default(), None)
        .await
        .unwrap();
    server.chat.put_member("lobby", "alice", None).await.unwrap();
    ok(bob.call("chat:join", &json!("lobby")).await);
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "bob"
    );
    ok(bob
        .call("presence:set_status", &json!({ "status": "away" }))
        .await);
    assert_eq!(
        alice.next_event("presence:status").await.unwrap()["status"],
        "away"
    );
    ok(bob.call("chat:leave", &json!("lobby")).await);
    assert_eq!(
        alice.next_event("presence:offline").await.unwrap()["userId"],
        "bob"
    );
    ok(bob
        .call("presence:set_status", &json!({ "status": "busy" }))
        .await);
    settle(&alice).await;
    assert!(alice.drain("presence:status").is_empty());
    assert_eq!(subscribe(&alice, "bob").await["status"], "offline");
}

#[tokio::test]
async fn a_setting_and_a_token_claim_show_everybody() {
    let server = Server::with(|config| config.presence_visible_to = Visibility::Everyone).await;
    server.connect_with(&plain("bob")).await;
    let alice = server.connect_with(&plain("alice")).await;
    assert_eq!(subscribe(&alice, "bob").await["status"], "online");
    let mut restricted = plain("alice");
    restricted["presence"] = json!("shared_rooms");
    let carol = server.connect_with(&restricted).await;
    assert_eq!(subscribe(&carol, "bob").await["status"], "offline");

    let server = Server::start().await;
    let bob = server.connect_with(&plain("bob")).await;
    let support = server.connect("support").await;
    assert_eq!(subscribe(&support, "bob").await["status"], "online");
    // A token without the claim takes the sight away.
    let token = token::with_claims(SECRET, &plain("support"));
    ok(support.call("token:refresh", &json!({ "token": token })).await);
    ok(bob
        .call("presence:set_status", &json!({ "status": "busy" }))
        .await);
    settle(&support).await;
    assert!(support.drain("presence:status").is_empty());
}
