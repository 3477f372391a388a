//! Tests of streams on the running binary, with a real Redis that fails, hangs, refuses and recovers.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

mod commands;
mod reader;
#[path = "../webhooks/receiver.rs"]
#[allow(dead_code, reason = "the tests of webhooks need more of it")]
mod receiver;
mod tls;
mod trouble;

use std::collections::HashSet;

use reader::{KEY, Reader};
use receiver::{Mood, Receiver, SECRET};
use roomful_testkit::{PATIENCE, RedisServer, ServerProcess, SioClient, http, server::Config, token};
use serde_json::{Value, json};
use tokio::time::timeout;

const ALL: &str = r#"["message.created", "message.undelivered", "user.online", "user.offline",
    "room.created", "room.emptied"]"#;
const MESSAGES: &str = r#"["message.created"]"#;

/// A server that adds `events` to the stream and retries quickly.
fn config(url: &str, events: &str, max_len: u32) -> Config {
    let streams = format!(
        r#"[{{ name = "app", url = "{url}", key = "{KEY}", events = {events}, max_len = {max_len} }}]"#
    );
    Config::new(env!("CARGO_BIN_EXE_roomful"))
        .env("ROOMFUL__STREAMS", &streams)
        .env("ROOMFUL__OUTBOX__RETRY_FIRST", "50ms")
        .env("ROOMFUL__OUTBOX__RETRY_MAX", "200ms")
        .env("ROOMFUL__PRESENCE__GRACE", "50ms")
        .env("ROOMFUL_LIMITS", "off")
        .env("ROOMFUL_LOG", "trace")
}

/// A server that adds `message.created` to a stream without a practical limit.
fn messages(redis: &RedisServer) -> Config {
    config(&redis.url(), MESSAGES, 1_000_000)
}

async fn client(server: &ServerProcess, user: &str, room: &str) -> SioClient {
    let auth = json!({ "token": token::for_user(server.secret(), user) });
    let client = SioClient::connect(server.addr(), "/", &auth).await.unwrap();
    ok(&client.call("chat:join", &json!(room)).await.unwrap());
    client
}

fn ok(ack: &Value) {
    assert_eq!(ack["ok"], true, "{ack}");
}

async fn say(client: &SioClient, text: &str) {
    let message = json!({ "room": "lobby", "text": text, "clientId": text.trim() });
    ok(&client.call("chat:send_message", &message).await.unwrap());
}

/// The number of delivery attempts with this outcome.
async fn attempts(server: &ServerProcess, outcome: &str) -> u64 {
    let page = http::get(server.addr(), "/metrics").await.unwrap().text();
    let series = format!("roomful_webhooks_attempts_total{{endpoint=\"app\",outcome=\"{outcome}\"}} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&series)).unwrap();
    value.parse().unwrap()
}

/// Waits until more than `before` attempts had this outcome.
async fn more_attempts(server: &ServerProcess, outcome: &str, before: u64) {
    let counted = async { while attempts(server, outcome).await <= before {} };
    assert!(
        timeout(PATIENCE, counted).await.is_ok(),
        "{outcome}:\n{}",
        server.log()
    );
}

#[tokio::test]
async fn each_record_is_added_once_and_equals_the_webhooks_payload() {
    let redis = RedisServer::start().await.unwrap();
    let receiver = Receiver::start(Mood::Take).await;
    let webhooks = format!(
        r#"[{{ name = "hook", url = "http://{}/hook", secret = "{SECRET}", events = {ALL} }}]"#,
        receiver.addr
    );
    let settings = config(&redis.url(), ALL, 1_000_000).env("ROOMFUL__WEBHOOKS", &webhooks);
    let server = ServerProcess::start_with(settings).await.unwrap();
    let alice = client(&server, "alice", "lobby").await;
    say(&alice, "hello „you“\n").await;
    drop(alice);
    let posts = receiver.wait("all that happens", |posts| posts.len() >= 5).await;
    let mut reader = Reader::start(&redis).await;
    let entries = reader
        .wait("all that happens", |entries| entries.len() >= 5)
        .await;
    let kinds: HashSet<_> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds.len(), 5, "{entries:#?}");
    for entry in entries {
        let post = posts.iter().find(|post| post.id == entry.id).unwrap();
        assert_eq!(entry.payload, post.body);
        assert_eq!(entry.payload["type"], entry.kind.as_str());
        assert_eq!(entry.payload["timestamp"], entry.timestamp.as_str());
    }

    more_attempts(&server, "delivered", 4).await;
    let mut client = redis.client().await.unwrap();
    assert_eq!(client.call(&["XLEN", KEY]).await.unwrap(), 5);
    assert_eq!(attempts(&server, "delivered").await, 5);
}

#[tokio::test]
async fn the_stream_is_trimmed_to_its_limit() {
    let redis = RedisServer::start().await.unwrap();
    let settings = config(&redis.url(), MESSAGES, 100);
    let server = ServerProcess::start_with(settings).await.unwrap();
    let alice = client(&server, "alice", "lobby").await;
    for n in 0..400 {
        say(&alice, &n.to_string()).await;
    }
    more_attempts(&server, "delivered", 399).await;
    let mut client = redis.client().await.unwrap();
    let kept = client.call(&["XLEN", KEY]).await.unwrap().as_u64().unwrap();
    // Redis trims in steps of whole tree nodes of 100 entries.
    assert!((100..300).contains(&kept), "{kept}");
    let last = client
        .call(&["XREVRANGE", KEY, "+", "-", "COUNT", "1"])
        .await
        .unwrap();
    assert!(last.to_string().contains("\\\"text\\\":\\\"399\\\""), "{last}");
}
