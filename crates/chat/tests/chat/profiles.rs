//! Profiles: from tokens and from the backend, to members, lists and messages.

use roomful_store::ProfileChange;
use roomful_testkit::token;
use serde_json::{Value, json};

use crate::fixture::{SECRET, START, Server, failed, ok, send, settle};

fn claims(user: &str, name: &str, avatar: &str, issued_at: i64) -> Value {
    json!({
        "sub": user, "name": name, "avatar": avatar,
        "iat": issued_at / 1000, "exp": START / 1000 + 3_600,
    })
}

fn name(name: &str) -> ProfileChange {
    ProfileChange {
        name: Some(Some(name.to_owned())),
        ..ProfileChange::default()
    }
}

#[tokio::test]
async fn a_tokens_name_and_avatar_reach_members_lists_and_messages() {
    let server = Server::start().await;
    let alice = server
        .connect_with(&claims("alice", "Alice", "https://x.test/a.png", START))
        .await;
    ok(alice.call("chat:join", &json!("lobby")).await);
    send(&alice, "lobby", "hi").await;
    let received = alice.next_event("chat:receive_message").await.unwrap();
    let shows = |value: &Value| (value["name"].clone(), value["avatar"].clone());
    let expected = (json!("Alice"), json!("https://x.test/a.png"));
    assert_eq!(shows(&received), expected);

    let bob = server.connect("bob").await;
    let joined = ok(bob.call("chat:join", &json!("lobby")).await);
    assert_eq!(shows(&joined["messages"][0]), expected);
    let members = ok(bob.call("chat:get_members", &json!("lobby")).await);
    assert_eq!(shows(&members["members"][0]), expected);
    let online = ok(bob.call("chat:get_online_users", &json!("lobby")).await);
    let found = online["users"]
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["userId"] == "alice");
    assert_eq!(shows(found.unwrap()), expected);
    let inbox = ok(bob.call("chat:inbox", &json!({})).await);
    assert_eq!(shows(&inbox["rooms"][0]["lastMessage"]), expected);
    let users = ok(bob
        .call("user:get", &json!({ "users": ["alice", "nobody"] }))
        .await);
    assert_eq!(
        users,
        json!({ "users": [
            { "userId": "alice", "name": "Alice", "avatar": "https://x.test/a.png", "metadata": null },
            { "userId": "nobody", "name": null, "avatar": null, "metadata": null },
        ] })
    );
    failed(
        bob.call("user:get", &json!({ "users": [""] })).await,
        "invalid_request",
    );
}

#[tokio::test]
async fn the_backends_profile_wins_over_older_tokens_and_is_announced() {
    let server = Server::start().await;
    let alice = server
        .connect_with(&claims("alice", "Alice", "https://x.test/a.png", START))
        .await;
    let bob = server.joined("bob", "lobby").await;
    let stranger = server.joined("carol", "elsewhere").await;
    ok(alice.call("chat:join", &json!("lobby")).await);

    server.clock.advance(5_000);
    let change = ProfileChange {
        metadata: Some(Some(r#"{"team":"b"}"#.to_owned())),
        ..name("Dr. Alice")
    };
    server.chat.set_profile("alice", change).await.unwrap();
    let updated = json!({
        "userId": "alice", "name": "Dr. Alice", "avatar": "https://x.test/a.png",
        "metadata": { "team": "b" }, "at": START + 5_000,
    });
    assert_eq!(bob.next_event("user:updated").await.unwrap(), updated);
    settle(&stranger).await;
    assert_eq!(stranger.drain("user:updated"), Vec::<Value>::new());
    send(&alice, "lobby", "hi").await;
    assert_eq!(
        bob.next_event("chat:receive_message").await.unwrap()["name"],
        "Dr. Alice"
    );

    // A token from before the change does not undo it, a later one does.
    let refresh = |issued_at| {
        let claims = claims("alice", "Alicia", "https://x.test/b.png", issued_at);
        json!({ "token": token::with_claims(SECRET, &claims) })
    };
    ok(alice.call("token:refresh", &refresh(START)).await);
    send(&alice, "lobby", "hi").await;
    assert_eq!(
        bob.next_event("chat:receive_message").await.unwrap()["name"],
        "Dr. Alice"
    );
    ok(alice.call("token:refresh", &refresh(START + 5_000)).await);
    let updated = bob.next_event("user:updated").await.unwrap();
    assert_eq!(
        (&updated["name"], &updated["avatar"]),
        (&json!("Alicia"), &json!("https://x.test/b.png"))
    );
}

#[tokio::test]
async fn a_profile_is_validated_and_needs_no_connection() {
    let server = Server::start().await;
    let set = server.chat.set_profile("dora", name("Dora\u{7}")).await.unwrap();
    assert_eq!(set.name.as_deref(), Some("Dora"));
    for (change, code) in [
        (name("\u{200b}"), "invalid_request"),
        (
            ProfileChange {
                avatar: Some(Some("a b".into())),
                ..ProfileChange::default()
            },
            "invalid_request",
        ),
        (
            ProfileChange {
                metadata: Some(Some("[]".into())),
                ..ProfileChange::default()
            },
            "invalid_request",
        ),
        (
            ProfileChange {
                metadata: Some(Some(format!(r#"{{"a":"{}"}}"#, "x".repeat(5_000)))),
                ..ProfileChange::default()
            },
            "payload_too_large",
        ),
    ] {
        let refused = server.chat.set_profile("dora", change).await.unwrap_err();
        assert_eq!(refused.code().as_str(), code);
    }
    let dora = server
        .connect_with(&json!({ "sub": "dora", "exp": START / 1000 + 60 }))
        .await;
    ok(dora.call("chat:join", &json!("lobby")).await);
    send(&dora, "lobby", "hi").await;
    assert_eq!(
        dora.next_event("chat:receive_message").await.unwrap()["name"],
        "Dora"
    );
}
