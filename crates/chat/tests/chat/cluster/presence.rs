//! Presence across nodes and devices.

use std::time::Duration;

use bytes::Bytes;
use roomful_testkit::SioClient;
use serde_json::{Value, json};

use super::{Nodes, is_closed};
use crate::fixture::{START, ok};

/// The ids in a list of users.
fn ids(users: &Value) -> Vec<String> {
    let users = users["users"].as_array().unwrap().iter();
    let mut ids: Vec<_> = users
        .map(|user| user["userId"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

/// The users online in the lobby, according to this client.
async fn online(client: &SioClient) -> Vec<String> {
    ids(&ok(client.call("chat:get_online_users", &json!("lobby")).await))
}

#[tokio::test]
async fn all_nodes_know_who_is_online() {
    let nodes = Nodes::start(2).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    let bob = nodes[1].joined("bob", "lobby").await;
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "bob"
    );
    assert_eq!(online(&alice).await, ["alice", "bob"]);
    assert_eq!(online(&bob).await, ["alice", "bob"]);
    let carol = nodes[1].connect("carol").await;
    let joined = ok(carol.call("chat:join", &json!("lobby")).await);
    assert_eq!(joined["online"], 3);
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "carol"
    );

    // Bob chooses a status, and then invisible.
    ok(bob
        .call(
            "presence:set_status",
            &json!({ "status": "busy", "text": "lunch" }),
        )
        .await);
    let status = alice.next_event("presence:status").await.unwrap();
    assert_eq!(
        (&status["userId"], &status["text"]),
        (&json!("bob"), &json!("lunch"))
    );
    ok(bob
        .call("presence:set_status", &json!({ "status": "invisible" }))
        .await);
    assert_eq!(
        alice.next_event("presence:offline").await.unwrap()["userId"],
        "bob"
    );
    assert_eq!(online(&alice).await, ["alice", "carol"]);

    // Carol moves to the other node, without a presence event.
    carol.cut().await;
    let carol = nodes[0].joined("carol", "lobby").await;
    nodes.clock.advance(6_000);
    while nodes[1].chat.stats().users > 1 {
        tokio::task::yield_now().await;
    }
    ok(bob
        .call("presence:set_status", &json!({ "status": "away" }))
        .await);
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "bob"
    );
    assert!(
        alice.drain("presence:offline").is_empty(),
        "Carol was there all the while"
    );
    carol.cut().await;
    while nodes[0].chat.stats().connections > 1 {
        tokio::task::yield_now().await;
    }
    nodes.clock.advance(6_000);
    for client in [&alice, &bob] {
        assert_eq!(
            client.next_event("presence:offline").await.unwrap()["userId"],
            "carol"
        );
    }
}

#[tokio::test]
async fn presence_merges_devices_across_nodes() {
    let nodes = Nodes::start(3).await;
    let alice = nodes[0].connect("alice").await;
    let states = ok(alice
        .call("presence:subscribe", &json!({ "users": ["bob"] }))
        .await);
    assert_eq!(states["users"][0]["status"], "offline");
    let phone = nodes[1].connect("bob").await;
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "bob"
    );
    let tablet = nodes[2].connect("bob").await;
    let known = nodes[0].chat.user("bob").await.unwrap();
    assert_eq!(known.devices.len(), 2);
    ok(phone
        .call("presence:set_status", &json!({ "status": "busy" }))
        .await);
    assert_eq!(
        alice.next_event("presence:status").await.unwrap()["status"],
        "busy"
    );
    assert_eq!(
        tablet.next_event("presence:status").await.unwrap()["status"],
        "busy"
    );
    phone.cut().await;
    while nodes[1].chat.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
    nodes.clock.advance(6_000);
    while nodes[1].chat.stats().users > 0 {
        tokio::task::yield_now().await;
    }
    while nodes[0].chat.user("bob").await.unwrap().devices.len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(nodes[0].chat.disconnect_user("bob").await.unwrap(), 1);
    is_closed(&tablet).await;
    while nodes[2].chat.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
    nodes.clock.advance(6_000);
    assert_eq!(
        alice.next_event("presence:offline").await.unwrap()["userId"],
        "bob"
    );
    let events = alice.drain("presence:online");
    assert!(events.is_empty(), "{events:?}");
}

#[tokio::test]
async fn a_dead_nodes_users_go_offline() {
    let nodes = Nodes::start(1).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    // A presence subscriber who shares no room.
    let bob = nodes[0].connect("bob").await;
    for follower in [&alice, &bob] {
        ok(follower
            .call("presence:subscribe", &json!({ "users": ["zoe"] }))
            .await);
    }
    let room = nodes
        .store
        .open_room("lobby", false, START)
        .await
        .unwrap()
        .unwrap()
        .id;
    // A node with a single heartbeat.
    let dying = nodes.hub.connect();
    let ttl = Duration::from_millis(500);
    dying.heartbeat("dying", Bytes::new(), ttl).await.unwrap();
    let shown = json!({ "name": null, "status": "online", "text": null });
    let zoe = json!({ "shown": shown, "hidden_since": null, "devices": [] });
    let crowd = json!({ "count": 1, "users": [["zoe", shown]] });
    dying
        .put("dying", "user:zoe", zoe.to_string().into())
        .await
        .unwrap();
    dying
        .put("dying", &format!("room:{room}"), crowd.to_string().into())
        .await
        .unwrap();
    dying.publish("user:zoe", "\"Presence\"".into());
    dying.publish(&format!("room:{room}"), "\"Crowd\"".into());
    for follower in [&alice, &bob] {
        let online = follower.next_event("presence:online").await.unwrap();
        assert_eq!(online["userId"], "zoe");
    }
    // The first check after the lease's end removes its users and notifies their subscribers.
    let soon = Duration::from_secs(3);
    for follower in [&alice, &bob] {
        let is_zoe = |event: &Value| event["userId"] == "zoe";
        follower
            .find_event(soon, "presence:offline", is_zoe)
            .await
            .unwrap();
    }
    assert_eq!(online(&alice).await, ["alice"]);
    while !dying.take_expired(1).await.unwrap().is_empty() {}
}
