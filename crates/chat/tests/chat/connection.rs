//! Tokens at the door and later, and what every event has in common.

use roomful_testkit::{Error, PATIENCE, session::End, token};
use serde_json::{Value, json};

use crate::fixture::{SECRET, START, Server, claims, failed, ok};

async fn refusal(server: &Server, auth: &Value) -> Value {
    match server.try_connect(auth).await {
        Err(Error::ConnectRefused(refusal)) => refusal,
        other => panic!("let in: {:?}", other.map(|client| client.id().to_owned())),
    }
}

#[tokio::test]
async fn the_session_event_says_who_and_what_is_allowed() {
    let server = Server::start().await;
    let auth = json!({ "token": token::with_claims(SECRET, &claims("alice")) });
    let client = server.try_connect(&auth).await.unwrap();
    let session = client.next_event("session").await.unwrap();
    assert_eq!(session["userId"], "alice");
    assert_eq!(session["sessionId"], client.id());
    assert_eq!(session["recovered"], false);
    assert_eq!(session["serverTime"], START);
    assert_eq!(session["limits"]["textBytes"], 16 * 1024);
    assert_eq!(session["limits"]["rooms"], 200);
}

#[tokio::test]
async fn nobody_gets_in_without_a_good_token() {
    let server = Server::start().await;
    let expired = json!({ "sub": "alice", "exp": START / 1000 });
    let elsewhere = token::with_claims("another secret of thirty-two bytes!!", &claims("alice"));
    for (auth, code) in [
        (Value::Null, "unauthorized"),
        (json!({}), "unauthorized"),
        (json!({ "token": 7 }), "unauthorized"),
        (json!({ "token": "nonsense" }), "unauthorized"),
        (json!({ "token": elsewhere }), "unauthorized"),
        (
            json!({ "token": token::with_claims(SECRET, &expired) }),
            "token_expired",
        ),
    ] {
        let refusal = refusal(&server, &auth).await;
        assert_eq!(refusal["data"]["code"], code, "{auth}: {refusal}");
        assert_eq!(refusal["data"]["retryable"], false);
        assert_eq!(refusal["data"]["message"], refusal["message"]);
    }
    assert_eq!(server.chat.stats().connections, 0);
}

#[tokio::test]
async fn an_expired_token_ends_the_live_socket_after_the_leeway() {
    let server = Server::start().await;
    let client = server
        .connect_with(&json!({ "sub": "alice", "exp": START / 1000 + 60 }))
        .await;
    server.clock.advance(64_999);
    ok(client.call("chat:join", &json!("lobby")).await);
    server.clock.advance(1);
    let error = client.next_event("error").await.unwrap();
    assert_eq!(error["code"], "token_expired");
    // The transport is closed without a DISCONNECT packet, so that the stock client comes back.
    assert_ne!(client.wait_end(PATIENCE).await.unwrap(), End::Disconnected);
}

#[tokio::test]
async fn a_refreshed_token_keeps_the_socket_and_takes_effect_at_once() {
    let server = Server::start().await;
    let client = server
        .connect_with(&json!({ "sub": "alice", "exp": START / 1000 + 60 }))
        .await;
    ok(client.call("chat:join", &json!("lobby")).await);
    ok(client.call("chat:join", &json!("room-1")).await);
    let other = server.joined("bob", "lobby").await;
    let refresh = |claims: Value| json!({ "token": token::with_claims(SECRET, &claims) });

    let foreign = refresh(json!({ "sub": "mallory", "exp": START / 1000 + 600 }));
    failed(client.call("token:refresh", &foreign).await, "unauthorized");
    failed(
        client
            .call("token:refresh", &json!({ "token": "nonsense" }))
            .await,
        "unauthorized",
    );
    failed(client.call("token:refresh", &json!({})).await, "invalid_request");

    let narrower = refresh(json!({ "sub": "alice", "exp": START / 1000 + 600, "rooms": ["room-*"] }));
    let data = ok(client.call("token:refresh", &narrower).await);
    assert_eq!(data["expiresAt"], START + 600_000);
    failed(
        client
            .call("chat:send_message", &json!({ "room": "lobby", "text": "hi" }))
            .await,
        "forbidden",
    );
    failed(client.call("chat:join", &json!("lobby")).await, "forbidden");
    ok(other
        .call(
            "chat:send_message",
            &json!({ "room": "lobby", "text": "not for alice" }),
        )
        .await);

    server.clock.advance(300_000);
    ok(client
        .call(
            "chat:send_message",
            &json!({ "room": "room-1", "text": "still here" }),
        )
        .await);
    assert_eq!(
        client.next_event("chat:receive_message").await.unwrap()["room"],
        "room-1"
    );
}

#[tokio::test]
async fn what_is_no_event_is_answered_and_hurts_nobody() {
    let server = Server::start().await;
    let client = server.connect("alice").await;
    let error = failed(client.call("chat:explode", &json!({})).await, "invalid_request");
    assert!(error["message"].as_str().unwrap().contains("chat:explode"));
    for (event, payload) in [
        ("chat:join", Value::Null),
        ("chat:join", json!(7)),
        ("chat:join", json!([])),
        ("chat:join", json!({})),
        ("chat:join", json!({ "room": 7 })),
        ("chat:join", json!("")),
        ("chat:join", json!(" lobby")),
        ("chat:join", json!("a\u{0}b")),
        ("chat:join", json!("x".repeat(129))),
        ("chat:join", json!({ "room": "lobby", "since": -1 })),
        ("chat:join", json!({ "room": "lobby", "since": 1.5 })),
        ("chat:join", json!({ "room": "lobby", "since": "1" })),
        ("chat:join", json!({ "room": "lobby", "since": 1u64 << 60 })),
        ("chat:join", json!({ "room": "lobby", "epoch": 7 })),
        ("chat:join", json!({ "room": "lobby", "limit": -1 })),
        ("chat:send_message", json!("lobby")),
        (
            "chat:get_history",
            json!({ "room": "lobby", "before": 3, "after": 1 }),
        ),
        ("chat:get_history", json!({ "room": "lobby", "before": 0 })),
        ("chat:message_read", json!("lobby")),
        ("chat:message_read", json!({ "room": "lobby", "seq": 0 })),
        ("presence:subscribe", json!({})),
        ("presence:subscribe", json!({ "users": "bob" })),
        ("presence:subscribe", json!({ "users": [7] })),
        ("presence:subscribe", json!({ "users": vec!["x"; 201] })),
    ] {
        server.clock.advance(1_000);
        failed(client.call(event, &payload).await, "invalid_request");
    }
    failed(
        client.call_with("chat:join", &[], PATIENCE).await,
        "invalid_request",
    );
    ok(client.call("chat:join", &json!("lobby")).await);
}

#[tokio::test]
async fn without_a_callback_a_failure_comes_as_an_error_event() {
    let server = Server::start().await;
    let client = server.connect("alice").await;
    client
        .emit("chat:send_message", &json!({ "room": "lobby", "text": "hi" }))
        .await
        .unwrap();
    let error = client.next_event("error").await.unwrap();
    assert_eq!(
        (&error["code"], &error["event"]),
        (&json!("forbidden"), &json!("chat:send_message"))
    );
    assert_eq!(error["retryable"], false);
    client.emit(&"x".repeat(1_000), &json!({})).await.unwrap();
    let error = client.next_event("error").await.unwrap();
    assert_eq!(error["event"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn a_clients_own_error_is_taken_note_of() {
    let server = Server::start().await;
    let client = server.connect("alice").await;
    let odd = json!({ "message": "\u{1b}[2J it broke" });
    for payload in [odd, json!({ "message": { "nested": true } }), json!({})] {
        ok(client.call("error", &payload).await);
    }
    assert!(
        client.drain("error").is_empty(),
        "an error is not answered by an error"
    );
}
