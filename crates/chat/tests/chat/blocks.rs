//! Blocks between users: events that a blocker no longer receives, and rooms of two that refuse messages.

use roomful_chat::{ErrorCode, Notify};
use roomful_store::{RoomChange, RoomKind};
use roomful_testkit::SioClient;
use serde_json::{Value, json};

use crate::fixture::{START, Server, failed, ok, send, settle};

/// A private room with these members, who are connected and joined.
pub(crate) async fn private_room(server: &Server, room: &str, users: &[&str]) -> Vec<SioClient> {
    let private = RoomChange {
        kind: Some(RoomKind::Private),
        history: None,
    };
    let members = users.iter().map(|user| (*user).to_owned()).collect();
    server.chat.put_room(room, private, Some(members)).await.unwrap();
    let mut clients = Vec::new();
    for user in users {
        clients.push(server.joined(user, room).await);
    }
    clients
}

pub(crate) async fn block(client: &SioClient, user: &str) -> Value {
    ok(client.call("user:block", &json!({ "userId": user })).await)
}

pub(crate) async fn unblock(client: &SioClient, user: &str) {
    let answer = ok(client.call("user:unblock", &json!({ "userId": user })).await);
    assert_eq!(answer, json!({ "userId": user }));
}

pub(crate) async fn say(client: &SioClient, room: &str) -> Result<Value, roomful_testkit::Error> {
    client
        .call("chat:send_message", &json!({ "room": room, "text": "hi" }))
        .await
}

async fn status_of(client: &SioClient, user: &str) -> Value {
    let states = ok(client
        .call("presence:subscribe", &json!({ "users": [user] }))
        .await);
    states["users"][0]["status"].clone()
}

#[tokio::test]
async fn nobody_writes_in_a_room_of_two_after_a_block() {
    let server = Server::start().await;
    let clients = private_room(&server, "pair", &["ann", "bob"]).await;
    let [ann, bob] = &clients[..] else { unreachable!() };
    send(bob, "pair", "first").await;
    assert_eq!(block(ann, "bob").await, json!({ "userId": "bob", "at": START }));
    for client in [ann, bob] {
        let error = failed(say(client, "pair").await, "forbidden");
        assert_eq!(error["retryable"], false);
        let reaction = json!({ "room": "pair", "seq": 1, "emoji": "+1" });
        failed(client.call("chat:react", &reaction).await, "forbidden");
    }
    let edit = json!({ "room": "pair", "seq": 1, "text": "changed" });
    failed(bob.call("chat:edit_message", &edit).await, "forbidden");
    ok(bob
        .call("chat:delete_message", &json!({ "room": "pair", "seq": 1 }))
        .await);
    unblock(ann, "bob").await;
    ok(say(bob, "pair").await);
}

#[tokio::test]
async fn blocks_are_listed_told_to_other_devices_and_limited() {
    let server = Server::with(|config| config.limits.blocks_per_user = 2).await;
    let (ann, phone) = (server.connect("ann").await, server.connect("ann").await);
    let bob = server.connect("bob").await;
    block(&ann, "bob").await;
    server.clock.advance(10);
    block(&ann, "cy").await;
    let again = block(&ann, "bob").await;
    assert_eq!(again["at"], START, "the earlier block stays");
    for (user, at) in [("bob", START), ("cy", START + 10)] {
        let told = json!({ "userId": user, "blocked": true, "at": at });
        assert_eq!(phone.next_event("user:block_changed").await.unwrap(), told);
    }
    let full = ann.call("user:block", &json!({ "userId": "dan" })).await;
    failed(full, "quota_exceeded");
    let myself = ann.call("user:block", &json!({ "userId": "ann" })).await;
    failed(myself, "invalid_request");
    for wrong in [json!({}), json!({ "userId": 1 }), json!({ "userId": "" })] {
        failed(ann.call("user:block", &wrong).await, "invalid_request");
        failed(ann.call("user:unblock", &wrong).await, "invalid_request");
    }
    unblock(&phone, "bob").await;
    unblock(&phone, "nobody").await;
    let told = json!({ "userId": "bob", "blocked": false, "at": START + 10 });
    assert_eq!(ann.next_event("user:block_changed").await.unwrap(), told);
    let listed = ok(phone.call("user:blocks", &json!({})).await);
    assert_eq!(listed, json!({ "users": ["cy"] }));
    let of_bob = ok(bob.call("user:blocks", &json!({})).await);
    assert_eq!(of_bob, json!({ "users": [] }));
    for client in [&ann, &phone, &bob] {
        settle(client).await;
        assert!(
            client.drain("user:block_changed").is_empty(),
            "the device that asks and the blocked user get no event"
        );
    }
}

#[tokio::test]
async fn a_blocked_user_sees_the_blocker_offline() {
    let server = Server::start().await;
    let (ann, bob) = (
        server.joined("ann", "lobby").await,
        server.joined("bob", "lobby").await,
    );
    assert_eq!(status_of(&bob, "ann").await, "online");
    block(&ann, "bob").await;
    assert_eq!(bob.next_event("presence:offline").await.unwrap()["userId"], "ann");
    assert_eq!(status_of(&bob, "ann").await, "offline");
    assert_eq!(
        status_of(&ann, "bob").await,
        "online",
        "blocks have one direction"
    );
    unblock(&ann, "bob").await;
    assert_eq!(bob.next_event("presence:online").await.unwrap()["userId"], "ann");
    assert_eq!(status_of(&bob, "ann").await, "online");
}

#[tokio::test]
async fn a_blocker_gets_no_mention_and_no_notification() {
    let server = Server::start().await;
    let ann = server.joined("ann", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let _third = server.joined("cy", "lobby").await;
    block(&ann, "bob").await;
    ok(ann.call("chat:unsubscribe", &json!("lobby")).await);
    let mention = json!({ "room": "lobby", "text": "@ann", "mentions": ["ann"] });
    ok(bob.call("chat:send_message", &mention).await);
    let inbox = ok(ann.call("chat:inbox", &json!({})).await);
    let row = &inbox["rooms"][0];
    assert_eq!((&row["unread"], &row["mentions"]), (&json!(1), &json!(0)));

    let notify = |from: Option<&str>, title: &str| Notify {
        user_ids: vec!["ann".into(), "cy".into()],
        kind: "poke".into(),
        title: title.into(),
        body: String::new(),
        data: None,
        id: None,
        from: from.map(Into::into),
    };
    server.chat.notify(notify(Some("bob"), "from bob")).await.unwrap();
    server.chat.notify(notify(None, "from nobody")).await.unwrap();
    let first = ann.next_event("notification:receive").await.unwrap();
    assert_eq!(first["title"], "from nobody");
    let error = server.chat.notify(notify(Some(""), "invalid")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
}
