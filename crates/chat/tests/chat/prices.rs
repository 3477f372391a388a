//! The price of events in rate-limit tokens.

use roomful_chat::Rate;
use roomful_testkit::SioClient;
use serde_json::{Value, json};

use crate::fixture::{Server, claims, failed, ok, send};

/// How often the event passes until the limit refuses it. Time stands still meanwhile.
async fn passes(client: &SioClient, event: &str, payload: &Value) -> u32 {
    let mut passed = 0;
    loop {
        let ack = client.call(event, payload).await.unwrap();
        if ack["ok"] == false {
            assert_eq!(ack["error"]["code"], "rate_limited", "{ack}");
            return passed;
        }
        passed += 1;
    }
}

fn sync_of(rooms: usize) -> Value {
    let room = |i: usize| json!({ "room": format!("room-{i}"), "since": 0 });
    json!({ "rooms": (0..rooms).map(room).collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_sync_costs_by_its_rooms_and_the_largest_passes_after_a_reconnect() {
    let server = Server::start().await;
    let alice = server.connect("alice").await;
    // A client that returns with the most rooms also reads its inbox and subscribes to its contacts.
    ok(alice.call("chat:sync", &sync_of(200)).await);
    ok(alice.call("chat:inbox", &Value::Null).await);
    let contacts: Vec<_> = (0..200).map(|i| format!("user-{i}")).collect();
    ok(alice
        .call("presence:subscribe", &json!({ "users": contacts }))
        .await);
    failed(alice.call("chat:sync", &sync_of(200)).await, "rate_limited");
    server.clock.advance(2_000);
    assert_eq!(passes(&alice, "chat:sync", &sync_of(200)).await, 1);
    server.clock.advance(2_000);
    assert_eq!(passes(&alice, "chat:sync", &sync_of(9)).await, 40);
}

#[tokio::test]
async fn the_wait_of_a_refused_sync_is_exact() {
    let server = Server::start().await;
    let alice = server.connect("alice").await;
    ok(alice.call("chat:sync", &sync_of(200)).await);
    let refused = failed(alice.call("chat:sync", &sync_of(200)).await, "rate_limited");
    server.clock.advance(refused["retryAfterMs"].as_i64().unwrap());
    ok(alice.call("chat:sync", &sync_of(200)).await);
}

#[tokio::test]
async fn a_presence_subscription_costs_by_its_users() {
    let server = Server::start().await;
    let alice = server.connect("alice").await;
    let users: Vec<_> = (0..200).map(|i| format!("user-{i}")).collect();
    let some = passes(&alice, "presence:subscribe", &json!({ "users": users })).await;
    assert_eq!(some, 4, "9 tokens each");
}

#[tokio::test]
async fn a_large_payload_and_a_large_answer_cost_more() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let text = "x".repeat(16 * 1024);
    let message = json!({ "room": "lobby", "text": text });
    assert_eq!(
        passes(&alice, "chat:send_message", &message).await,
        19,
        "2 tokens each, after the join"
    );
    server.clock.advance(2_000);
    // 19 messages of 16 KiB are 9 tokens, which the next event pays.
    let page = json!({ "room": "lobby", "limit": 100 });
    assert_eq!(passes(&alice, "chat:get_history", &page).await, 4);
}

#[tokio::test]
async fn a_message_costs_by_its_mentions() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let mention = |count: usize| {
        let users: Vec<_> = (0..count).map(|i| format!("{i:0128}")).collect();
        json!({ "room": "lobby", "text": "hi", "mentions": users })
    };
    assert_eq!(
        passes(&alice, "chat:send_message", &mention(50)).await,
        6,
        "6 tokens each, after the join"
    );
    server.clock.advance(2_000);
    assert_eq!(passes(&alice, "chat:send_message", &mention(9)).await, 40);
}

#[tokio::test]
async fn a_status_costs_by_the_connections_that_get_it() {
    let server = Server::with(|config| {
        config.rates.connects_per_address = Rate::new(1_000, 1_000);
        config.rates.connections_per_user = 1_000;
    })
    .await;
    let alice = server.joined("alice", "lobby").await;
    let mut others = Vec::new();
    for _ in 0..100 {
        others.push(server.joined("bob", "lobby").await);
        server.clock.advance(50);
    }
    server.clock.advance(60_000);
    let mut passed = 0;
    for number in 0.. {
        let status = json!({ "status": "away", "text": number.to_string() });
        let ack = alice.call("presence:set_status", &status).await.unwrap();
        if ack["ok"] == false {
            break;
        }
        passed += 1;
    }
    assert_eq!(passed, 20, "2 tokens each, the second paid by the next event");
    // The same status again goes to nobody. The first event pays for the last change.
    server.clock.advance(60_000);
    let same = json!({ "status": "away", "text": "19" });
    assert_eq!(passes(&alice, "presence:set_status", &same).await, 39);
}

#[tokio::test]
async fn an_inbox_costs_by_the_rows_it_returns() {
    let server = Server::with(|config| config.rates.connection.burst = 200).await;
    let alice = server.connect("alice").await;
    for i in 0..50 {
        ok(alice
            .call("chat:join", &json!({ "room": format!("room-{i}") }))
            .await);
        server.clock.advance(50);
    }
    server.clock.advance(20_000);
    assert_eq!(
        passes(&alice, "chat:inbox", &json!({ "limit": 20 })).await,
        120,
        "limited by the user's bucket"
    );
    server.clock.advance(20_000);
    assert_eq!(
        passes(&alice, "chat:inbox", &Value::Null).await,
        40,
        "one token and two for 50 rows"
    );
}

#[tokio::test]
async fn a_connection_blocks_20_users_or_bans_13_at_once() {
    let server = Server::start().await;
    let mut of_mona = claims("mona");
    of_mona["roles"] = json!(["moderator"]);
    let mona = server.connect_with(&of_mona).await;
    ok(mona.call("chat:join", &json!("lobby")).await);
    server.clock.advance(2_000);
    let ban = json!({ "room": "lobby", "action": "ban", "userId": "eve" });
    assert_eq!(passes(&mona, "chat:moderate", &ban).await, 13, "3 tokens each");
    for event in ["user:block", "user:unblock"] {
        server.clock.advance(2_000);
        let passed = passes(&mona, event, &json!({ "userId": "eve" })).await;
        assert_eq!(passed, 20, "2 tokens each");
    }
}

#[tokio::test]
async fn ordinary_use_stays_within_the_limits() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    for i in 0..39 {
        send(&alice, "lobby", &format!("message {i}")).await;
    }
    for _ in 0..20 {
        server.clock.advance(50);
        ok(alice.call("chat:get_history", &json!("lobby")).await);
    }
}
