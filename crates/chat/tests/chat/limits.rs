//! Rate limits and bounds.

use std::time::Duration;

use roomful_chat::{Rate, admin::Post};
use roomful_store::{Options, Quotas};
use roomful_testkit::{Error, PATIENCE};
use serde_json::json;
use tokio::time::timeout;

use crate::fixture::{Server, failed, ok, send};

#[tokio::test]
async fn events_over_the_rate_are_refused_without_effect() {
    let server = Server::with(|config| config.rates.connection = Rate::new(2, 3)).await;
    let client = server.joined("alice", "lobby").await;
    let message = json!({ "room": "lobby", "text": "hi" });
    ok(client.call("chat:send_message", &message).await);
    ok(client.call("chat:send_message", &message).await);
    let error = failed(client.call("chat:send_message", &message).await, "rate_limited");
    assert_eq!(
        (&error["retryable"], &error["retryAfterMs"]),
        (&json!(true), &json!(500))
    );
    server.clock.advance(500);
    assert_eq!(ok(client.call("chat:send_message", &message).await)["seq"], 3);
}

#[tokio::test]
async fn events_that_are_refused_together_may_come_back_one_after_the_other() {
    let server = Server::with(|config| config.rates.connection = Rate::new(20, 1)).await;
    let client = server.connect("alice").await;
    ok(client.call("chat:inbox", &json!({})).await);
    let mut waits = Vec::new();
    for _ in 0..20 {
        let error = failed(client.call("chat:inbox", &json!({})).await, "rate_limited");
        waits.push(error["retryAfterMs"].as_i64().unwrap());
    }
    assert_eq!(waits, (1..=20).map(|slot| slot * 50).collect::<Vec<_>>());
    let mut passed = 0;
    for wait in waits {
        server.clock.advance(wait - passed);
        passed = wait;
        ok(client.call("chat:inbox", &json!({})).await);
    }
}

#[tokio::test]
async fn a_client_that_ignores_rate_limits_is_disconnected() {
    let server = Server::with(|config| {
        config.rates.connection = Rate::new(1, 1);
        config.rates.refusals_before_close = 5;
    })
    .await;
    let client = server.joined("alice", "lobby").await;
    for _ in 0..5 {
        client.emit("chat:typing_start", &json!("lobby")).await.unwrap();
    }
    client.wait_end(PATIENCE).await.unwrap();
    let errors = client.drain("error");
    assert!(errors.iter().all(|error| error["code"] == "rate_limited"));
    assert_eq!(errors.len(), 6, "one for each event and one for the close");
}

#[tokio::test]
async fn a_connection_pauses_after_ten_refusals_in_a_row() {
    let server = Server::with(|config| {
        config.rates.connection = Rate::new(1, 1);
        config.rates.refusal_pause = Duration::from_hours(1);
    })
    .await;
    let greedy = server.connect("greedy").await;
    let other = server.connect("other").await;
    ok(greedy.call("chat:inbox", &json!({})).await);
    for _ in 0..10 {
        failed(greedy.call("chat:inbox", &json!({})).await, "rate_limited");
    }
    greedy.emit("chat:inbox", &json!({})).await.unwrap();
    ok(other.call("chat:inbox", &json!({})).await);
    assert!(greedy.drain("error").is_empty(), "the eleventh waits");
}

#[tokio::test]
async fn events_that_handlers_refuse_count_as_refused() {
    let server = Server::with(|config| config.rates.enabled = false).await;
    let client = server.connect("alice").await;
    let message = json!({ "room": "lobby", "text": "x".repeat(16 * 1024) });
    // The bound is 1 MB within 10 s.
    for _ in 0..70 {
        if client.emit("chat:send_message", &message).await.is_err() {
            break;
        }
    }
    client.wait_end(PATIENCE).await.unwrap();
    let errors = client.drain("error");
    assert!(
        errors.iter().all(|error| error["code"] == "forbidden"),
        "{errors:?}"
    );
    assert!(errors.len() > 50, "{} refusals", errors.len());
}

#[tokio::test]
async fn a_users_connections_are_limited_and_freed_on_disconnect() {
    let server = Server::with(|config| config.rates.connections_per_user = 2).await;
    let token = roomful_testkit::token::with_claims(crate::fixture::SECRET, &crate::fixture::claims("alice"));
    let auth = json!({ "token": token });
    let first = server.connect("alice").await;
    let _second = server.connect("alice").await;
    let Err(Error::ConnectRefused(refusal)) = server.try_connect(&auth).await else {
        panic!("let in")
    };
    assert_eq!(
        (&refusal["data"]["code"], &refusal["data"]["retryable"]),
        (&json!("rate_limited"), &json!(true))
    );
    server.connect("bob").await;
    first.abort().await;
    // The server frees the slot after it noticed the disconnect. No event announces that, so retry.
    while server.try_connect(&auth).await.is_err() {}
}

#[tokio::test]
async fn a_session_that_ends_frees_its_connection_though_the_transport_stays_open() {
    let server = Server::with(|config| config.rates.connections_per_user = 1).await;
    let token = roomful_testkit::token::with_claims(crate::fixture::SECRET, &crate::fixture::claims("alice"));
    let auth = json!({ "token": token });
    let first = server.connect("alice").await;
    assert!(
        server.try_connect(&auth).await.is_err(),
        "the only place is taken"
    );
    // Leaves the namespace.
    first.send_text("41".to_owned()).await.unwrap();
    let admitted = async { while server.try_connect(&auth).await.is_err() {} };
    timeout(PATIENCE, admitted).await.unwrap();
    assert_eq!(first.end(), None, "the transport is open");
}

#[tokio::test]
async fn connects_from_one_address_are_throttled() {
    let server = Server::with(|config| config.rates.connects_per_address = Rate::new(1, 2)).await;
    server.connect("alice").await;
    server.connect("bob").await;
    let Err(Error::ConnectRefused(refusal)) = server.try_connect(&json!({})).await else {
        panic!("let in")
    };
    assert_eq!(
        (&refusal["data"]["code"], &refusal["data"]["retryAfterMs"]),
        (&json!("rate_limited"), &json!(1_000))
    );
    server.clock.advance(1_000);
    server.connect("carol").await;
}

#[tokio::test]
async fn rooms_and_presence_subscriptions_per_socket_are_limited() {
    let server = Server::with(|config| {
        config.limits.rooms_per_socket = 2;
        config.limits.watched_per_socket = 2;
    })
    .await;
    let client = server.joined("alice", "one").await;
    ok(client.call("chat:join", &json!("two")).await);
    failed(client.call("chat:join", &json!("three")).await, "quota_exceeded");
    // A member of the room, too, and whichever event asks.
    let other = server.joined("alice", "three").await;
    failed(client.call("chat:join", &json!("three")).await, "quota_exceeded");
    let three = json!({ "rooms": [{ "room": "three", "since": 0, "epoch": "any" }] });
    let synced = ok(client.call("chat:sync", &three).await);
    assert_eq!(synced["rooms"][0]["error"]["code"], "quota_exceeded");
    other.close().await.unwrap();
    ok(client.call("chat:join", &json!("two")).await);
    ok(client.call("chat:leave", &json!("one")).await);
    ok(client.call("chat:join", &json!("three")).await);

    ok(client
        .call("presence:subscribe", &json!({ "users": ["a", "b"] }))
        .await);
    failed(
        client
            .call("presence:subscribe", &json!({ "users": ["c"] }))
            .await,
        "invalid_request",
    );
    ok(client
        .call("presence:subscribe", &json!({ "users": ["b"] }))
        .await);
    ok(client
        .call("presence:unsubscribe", &json!({ "users": ["a"] }))
        .await);
    ok(client
        .call("presence:subscribe", &json!({ "users": ["c"] }))
        .await);
}

#[tokio::test]
async fn quotas_of_a_user_answer_quota_exceeded() {
    let data = tempfile::tempdir().unwrap();
    let options = Options {
        quotas: Quotas {
            daily_bytes: 20_000,
            daily_rooms: 2,
            edits: 1,
        },
        ..Options::default()
    };
    let url = format!("sqlite:{}", data.path().join("chat.db").display());
    let store = roomful_store::open(&url, options).unwrap();
    let server = Server::on(store, data, |config| config.rates.enabled = false).await;
    let alice = server.joined("alice", "one").await;
    ok(alice.call("chat:join", &json!("two")).await);
    let refused = failed(alice.call("chat:join", &json!("three")).await, "quota_exceeded");
    assert_eq!(refused["retryable"], false);
    assert!(
        refused["message"].as_str().unwrap().contains("rooms"),
        "{refused}"
    );
    // Others may create it, and then it is open to everybody.
    let bob = server.joined("bob", "three").await;
    ok(alice.call("chat:join", &json!("three")).await);

    send(&alice, "one", "hello").await;
    let edit = json!({ "room": "one", "seq": 1, "text": "hi" });
    ok(alice.call("chat:edit_message", &edit).await);
    failed(alice.call("chat:edit_message", &edit).await, "quota_exceeded");

    let long = json!({ "room": "three", "text": "x".repeat(15_000) });
    ok(alice.call("chat:send_message", &long).await);
    let refused = failed(alice.call("chat:send_message", &long).await, "quota_exceeded");
    assert!(refused["message"].as_str().unwrap().contains("UTC"), "{refused}");
    ok(bob.call("chat:send_message", &long).await);
    // Posts of the backend are not charged.
    for _ in 0..3 {
        let post = Post {
            user_id: "alice".into(),
            text: "x".repeat(15_000),
            ..Post::default()
        };
        server.chat.post("three", post).await.unwrap();
    }
}
