//! Presence as other users see it.

use roomful_chat::ChatError;
use roomful_testkit::SioClient;
use serde_json::{Value, json};

use crate::fixture::{START, Server, failed, ok, send, settle};

fn users(list: &Value) -> Vec<&str> {
    list["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["userId"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn online_is_announced_once_and_offline_after_the_grace_period() {
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
        "one user, whatever the number of devices"
    );
    assert!(
        alice.drain("presence:offline").is_empty(),
        "no event within the grace period"
    );
    loop {
        // The server notices the end of a connection after a moment. The grace period starts then.
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
async fn a_revoked_or_erased_user_is_offline_without_a_grace() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let _bob = server.joined("bob", "lobby").await;
    let carol = server.joined("carol", "lobby").await;
    carol.abort().await;
    while server.chat.stats().connections > 2 {
        tokio::task::yield_now().await;
    }
    assert!(alice.drain("presence:offline").is_empty());
    // One has a connection, of the other only the grace is left.
    for user in ["bob", "carol"] {
        server.chat.revoke_user(user).await.unwrap();
        let gone = alice.next_event("presence:offline").await.unwrap();
        assert_eq!(gone, json!({ "userId": user, "lastSeen": START }));
    }

    let _dave = server.joined("dave", "lobby").await;
    server.chat.erase_user("dave", true).await.unwrap();
    let gone = alice.next_event("presence:offline").await.unwrap();
    assert_eq!(gone["userId"], "dave");
    let unknown = server.chat.user("dave").await;
    assert!(matches!(unknown, Err(ChatError::NotFound(_))), "{unknown:?}");
}

#[tokio::test]
async fn a_page_reload_causes_no_presence_events() {
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
async fn a_reconnected_member_is_online_before_joining_again() {
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
async fn online_users_come_as_ack_and_as_event() {
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
            { "userId": "alice", "name": "The alice", "avatar": null, "status": "online", "lastSeen": START },
            { "userId": "bob", "name": "The bob", "avatar": null, "status": "online", "lastSeen": START },
        ]})
    );
    assert_eq!(alice.next_event("chat:online_users").await.unwrap(), answer);
    failed(
        alice.call("chat:get_online_users", &json!("elsewhere")).await,
        "forbidden",
    );
}

#[tokio::test]
async fn presence_subscribers_get_changes() {
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
async fn large_rooms_announce_no_single_user() {
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

async fn set(client: &SioClient, status: &str, text: Option<&str>) {
    let ask = json!({ "status": status, "text": text });
    assert_eq!(ok(client.call("presence:set_status", &ask).await), json!({}));
}

/// A user's state, as this client gets it.
async fn seen_by(asker: &SioClient, user: &str) -> Value {
    let ask = json!({ "users": [user] });
    ok(asker.call("presence:subscribe", &ask).await)["users"][0].take()
}

/// Waits until one user fewer is online.
async fn gone(server: &Server, asker: &SioClient) {
    let before = server.chat.stats().users;
    while server.chat.stats().users == before {
        server.clock.advance(5_000);
        settle(asker).await;
    }
    settle(asker).await;
}

#[tokio::test]
async fn a_status_reaches_shared_rooms_subscribers_and_own_devices() {
    let server = Server::start().await;
    let bob = server.joined("bob", "lobby").await;
    let phone = server.connect("bob").await;
    let alice = server.joined("alice", "lobby").await;
    let carol = server.connect("carol").await;
    assert_eq!(seen_by(&carol, "bob").await["status"], "online");
    let stranger = server.joined("dave", "elsewhere").await;
    set(&bob, "away", Some("Lunch")).await;
    let news = json!({ "userId": "bob", "status": "away", "text": "Lunch" });
    for client in [&alice, &carol, &phone] {
        assert_eq!(client.next_event("presence:status").await.unwrap(), news);
    }
    let state = json!({ "userId": "bob", "status": "away", "text": "Lunch", "lastSeen": START });
    assert_eq!(seen_by(&carol, "bob").await, state);
    let list = ok(alice.call("chat:get_online_users", &json!("lobby")).await);
    assert_eq!(list["users"][0]["text"], "Lunch");
    assert_eq!(list["users"][0]["status"], "away");
    // An unchanged status causes no event. A missing and an empty text both mean none.
    set(&phone, "away", Some("Lunch")).await;
    set(&phone, "busy", Some("")).await;
    let news = json!({ "userId": "bob", "status": "busy", "text": null });
    for client in [&alice, &carol, &bob] {
        assert_eq!(client.next_event("presence:status").await.unwrap(), news);
    }
    for client in [&alice, &carol, &bob, &phone, &stranger] {
        settle(client).await;
        assert!(client.drain("presence:status").is_empty());
        assert!(client.drain("presence:offline").is_empty());
    }
}

#[tokio::test]
async fn invisible_users_are_offline_to_others() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let phone = server.connect("bob").await;
    alice.next_event("presence:online").await.unwrap();
    server.clock.advance(1_000);
    set(&bob, "invisible", Some("Ssh")).await;
    let hidden = json!({ "userId": "bob", "lastSeen": START + 1_000 });
    assert_eq!(alice.next_event("presence:offline").await.unwrap(), hidden);
    let news = json!({ "userId": "bob", "status": "invisible", "text": "Ssh" });
    assert_eq!(phone.next_event("presence:status").await.unwrap(), news);

    server.clock.advance(1_000);
    set(&bob, "invisible", None).await;
    let state = json!({ "userId": "bob", "status": "offline", "lastSeen": START + 1_000 });
    assert_eq!(seen_by(&alice, "bob").await, state);
    let own = json!({ "userId": "bob", "status": "invisible", "lastSeen": START + 2_000 });
    assert_eq!(seen_by(&phone, "bob").await, own);
    let list = ok(alice.call("chat:get_online_users", &json!("lobby")).await);
    assert_eq!(users(&list), ["alice"]);
    let carol = server.connect("carol").await;
    let joined = ok(carol.call("chat:join", &json!("lobby")).await);
    assert_eq!(joined["online"], 2, "alice and carol");
    assert_eq!(
        users(&ok(bob.call("chat:get_online_users", &json!("lobby")).await)),
        ["alice", "carol"]
    );
    // Joining and sending do not reveal them, though their messages arrive.
    ok(bob.call("chat:join", &json!("den")).await);
    ok(carol.call("chat:join", &json!("den")).await);
    send(&bob, "lobby", "boo").await;
    assert_eq!(
        alice.next_event("chat:receive_message").await.unwrap()["userId"],
        "bob"
    );
    settle(&alice).await;
    assert!(
        alice.drain("presence:status").is_empty(),
        "only the user's own devices get it"
    );
    for event in alice.drain("presence:online") {
        assert_eq!(event["userId"], "carol");
    }

    set(&phone, "away", Some("Back")).await;
    let back = json!({ "userId": "bob", "at": START + 2_000, "status": "away", "text": "Back" });
    assert_eq!(alice.next_event("presence:online").await.unwrap(), back);
    assert_eq!(carol.next_event("presence:online").await.unwrap(), back);
    settle(&carol).await;
    assert!(
        carol.drain("presence:online").is_empty(),
        "once, although they share two rooms"
    );
}

#[tokio::test]
async fn an_invisible_connection_causes_no_presence_events() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    alice.next_event("presence:online").await.unwrap();
    set(&bob, "invisible", Some("Ssh")).await;
    alice.next_event("presence:offline").await.unwrap();
    server.clock.advance(60_000);
    bob.abort().await;
    gone(&server, &alice).await;

    let bob = server.connect("bob").await;
    let own = json!({ "userId": "bob", "status": "invisible", "text": "Ssh" });
    assert_eq!(bob.next_event("presence:status").await.unwrap(), own);
    ok(bob.call("chat:join", &json!("lobby")).await);
    let state = json!({ "userId": "bob", "status": "offline", "lastSeen": START });
    assert_eq!(seen_by(&alice, "bob").await, state);
    bob.abort().await;
    gone(&server, &alice).await;
    server.chat.drain().await;
    assert_eq!(seen_by(&alice, "bob").await, state);
    assert!(alice.drain("presence:online").is_empty());
    assert!(alice.drain("presence:offline").is_empty());
}

#[tokio::test]
async fn a_status_survives_disconnects() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    alice.next_event("presence:online").await.unwrap();
    set(&bob, "busy", Some("Deep work")).await;
    alice.next_event("presence:status").await.unwrap();
    bob.abort().await;
    gone(&server, &alice).await;
    let away = seen_by(&alice, "bob").await;
    assert_eq!((&away["status"], away.get("text")), (&json!("offline"), None));
    let bob = server.connect("bob").await;
    let back = alice.next_event("presence:online").await.unwrap();
    assert_eq!(
        (&back["status"], &back["text"]),
        (&json!("busy"), &json!("Deep work"))
    );
    let own = json!({ "userId": "bob", "status": "busy", "text": "Deep work" });
    assert_eq!(bob.next_event("presence:status").await.unwrap(), own);
    set(&bob, "online", None).await;
    let tablet = server.connect("bob").await;
    settle(&tablet).await;
    assert!(
        tablet.drain("presence:status").is_empty(),
        "plain online carries no status"
    );
}

#[tokio::test]
async fn statuses_are_validated() {
    let server = Server::with(|config| config.limits.status_text_chars = 3).await;
    let bob = server.connect("bob").await;
    for wrong in [
        json!({}),
        json!({ "status": "offline" }),
        json!({ "status": "Away" }),
        json!({ "status": 1 }),
        json!({ "status": "away", "text": 1 }),
    ] {
        failed(bob.call("presence:set_status", &wrong).await, "invalid_request");
    }
    set(&bob, "away", Some("äöü")).await;
    let long = json!({ "status": "away", "text": "four" });
    failed(bob.call("presence:set_status", &long).await, "payload_too_large");
    assert_eq!(seen_by(&bob, "bob").await["text"], "äöü");
}

#[tokio::test]
async fn invisible_users_get_unread_updates_and_may_type() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let phone = server.connect("bob").await;
    set(&bob, "invisible", None).await;
    ok(bob.call("chat:typing_start", &json!("lobby")).await);
    assert_eq!(
        alice.next_event("chat:typing_start").await.unwrap()["userId"],
        "bob"
    );
    send(&alice, "lobby", "psst").await;
    while phone.drain("chat:unread").is_empty() {
        server.clock.advance(1_000);
        settle(&phone).await;
    }
}
