//! Who is online, as others see it.

use serde_json::{Value, json};

use crate::fixture::{START, Server, failed, ok, settle};

fn users(list: &Value) -> Vec<&str> {
    list["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["userId"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn coming_is_told_once_and_going_after_the_grace() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let online = json!({ "userId": "bob", "at": START });
    assert_eq!(alice.next_event("presence:online").await.unwrap(), online);
    ok(bob.call("chat:join", &json!("lobby")).await);
    let phone = server.joined("bob", "lobby").await;
    ok(phone.call("chat:join", &json!("lobby-2")).await);
    bob.abort().await;
    phone.close().await.unwrap();
    while server.chat.stats().connections > 1 {
        tokio::task::yield_now().await;
    }
    settle(&alice).await;
    assert!(
        alice.drain("presence:online").is_empty(),
        "one person, whatever the devices"
    );
    assert!(
        alice.drain("presence:offline").is_empty(),
        "within the grace nothing is told"
    );
    loop {
        // The end of a connection is noticed by and by; the grace begins then.
        server.clock.advance(5_000);
        settle(&alice).await;
        if let Some(gone) = alice.drain("presence:offline").first() {
            assert_eq!(gone["userId"], "bob");
            assert!(gone["lastSeen"].as_i64().unwrap() >= START);
            break;
        }
    }
    let state = ok(alice
        .call("presence:subscribe", &json!({ "users": ["bob"] }))
        .await);
    assert_eq!(state["users"][0]["status"], "offline");
}

#[tokio::test]
async fn a_reload_is_not_noticed() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    alice.next_event("presence:online").await.unwrap();
    bob.abort().await;
    server.clock.advance(4_999);
    let _bob = server.joined("bob", "lobby").await;
    server.clock.advance(60_000);
    settle(&alice).await;
    assert!(alice.drain("presence:offline").is_empty());
    assert!(alice.drain("presence:online").is_empty());
}

#[tokio::test]
async fn a_member_who_comes_back_is_online_before_they_join_again() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    server.joined("bob", "lobby").await.abort().await;
    alice.next_event("presence:online").await.unwrap();
    while alice.drain("presence:offline").is_empty() {
        server.clock.advance(5_000);
        settle(&alice).await;
    }
    let _bob = server.connect("bob").await;
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "bob"
    );
    let list = ok(alice.call("chat:get_online_users", &json!("lobby")).await);
    assert_eq!(users(&list), ["alice", "bob"]);
}

#[tokio::test]
async fn the_list_of_a_room_comes_as_answer_and_as_event() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let _bob = server.joined("bob", "lobby").await;
    let _elsewhere = server.joined("carol", "elsewhere").await;
    let answer = ok(alice
        .call("chat:get_online_users", &json!({ "room": "lobby" }))
        .await);
    assert_eq!(
        answer,
        json!({ "room": "lobby", "users": [
            { "userId": "alice", "name": "The alice", "status": "online", "lastSeen": START },
            { "userId": "bob", "name": "The bob", "status": "online", "lastSeen": START },
        ]})
    );
    assert_eq!(alice.next_event("chat:online_users").await.unwrap(), answer);
    failed(
        alice.call("chat:get_online_users", &json!("elsewhere")).await,
        "forbidden",
    );
}

#[tokio::test]
async fn subscribers_are_told_without_sharing_a_room() {
    let server = Server::start().await;
    let alice = server.connect("alice").await;
    let subscribe = json!({ "users": ["bob", "nobody"] });
    let states = ok(alice.call("presence:subscribe", &subscribe).await);
    let offline = |user: &str| json!({ "userId": user, "status": "offline", "lastSeen": null });
    assert_eq!(states, json!({ "users": [offline("bob"), offline("nobody")] }));
    let bob = server.joined("bob", "elsewhere").await;
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "bob"
    );
    ok(alice.call("presence:unsubscribe", &subscribe).await);
    bob.abort().await;
    while server.chat.stats().users > 1 {
        server.clock.advance(5_000);
        settle(&alice).await;
    }
    settle(&alice).await;
    assert!(alice.drain("presence:offline").is_empty());
}

#[tokio::test]
async fn large_rooms_do_not_announce_each_one() {
    let server = Server::with(|config| config.announce_max = 2).await;
    let alice = server.joined("alice", "lobby").await;
    let _bob = server.joined("bob", "lobby").await;
    alice.next_event("presence:online").await.unwrap();
    let _carol = server.joined("carol", "lobby").await;
    settle(&alice).await;
    assert!(alice.drain("presence:online").is_empty());
    let list = ok(alice.call("chat:get_online_users", &json!("lobby")).await);
    assert_eq!(users(&list), ["alice", "bob", "carol"]);
}
