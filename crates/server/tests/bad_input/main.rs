//! Tests of bad input on the real binary: a table of malformed frames, packets, requests, tokens and events.
//!
//! After each row, two bystanders exchange a message. At the end, every stored message is still there, the
//! server has counted its refusals, and no handler has panicked.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

mod events;
mod frames;
mod packets;
mod requests;
mod row;
mod tokens;

use std::collections::HashSet;

use roomful_testkit::server::Config;
use roomful_testkit::{ServerProcess, SioClient, http, token};
use serde_json::{Value, json};

use row::{Row, Stage};

/// The room of the bystanders. No row may disturb it.
const QUIET: &str = "quiet-room";

/// Two clients in a room of their own, which must not notice the rows.
struct Bystanders {
    speaker: SioClient,
    listener: SioClient,
    said: u64,
}

impl Bystanders {
    async fn gather(server: &ServerProcess) -> Self {
        let speaker = join(server, "speaker").await;
        let listener = join(server, "listener").await;
        Self {
            speaker,
            listener,
            said: 0,
        }
    }

    /// Sends one message from the speaker to the listener and checks that its seq is the next one.
    async fn talk(&mut self, after: &str) {
        self.said += 1;
        let text = format!("after {after}");
        let message = json!({ "room": QUIET, "text": text, "clientId": format!("b{}", self.said) });
        let ack = self.speaker.call("chat:send_message", &message).await;
        let ack = ack.unwrap_or_else(|error| panic!("the speaker was hurt by {after:?}: {error}"));
        assert_eq!(
            ack["data"]["seq"], self.said,
            "the speaker after {after:?}: {ack}"
        );
        let received = self.listener.next_event("chat:receive_message").await;
        let received = received.unwrap_or_else(|error| panic!("the listener was hurt by {after:?}: {error}"));
        assert_eq!(
            (&received["seq"], &received["text"]),
            (&json!(self.said), &json!(text))
        );
    }
}

async fn join(server: &ServerProcess, user: &str) -> SioClient {
    let auth = json!({ "token": token::for_user(server.secret(), user) });
    let client = SioClient::connect(server.addr(), "/", &auth).await.unwrap();
    let ack = client.call("chat:join", &json!({ "room": QUIET })).await.unwrap();
    assert_eq!(ack["ok"], true, "{ack}");
    client
}

fn rows(secret: &str) -> Vec<Row> {
    [
        frames::rows(),
        packets::rows(),
        requests::rows(),
        tokens::rows(secret),
        events::rows(secret),
    ]
    .concat()
}

#[tokio::test]
async fn bad_input_affects_only_its_sender() {
    // All clients share one address here, so the rate limits are off. They have their own test below.
    let config = Config::new(env!("CARGO_BIN_EXE_roomful")).env("ROOMFUL_LIMITS", "off");
    let mut server = ServerProcess::start_with(config).await.unwrap();
    let rows = rows(server.secret());
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let names: HashSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "two rows have the same name");

    let mut bystanders = Bystanders::gather(&server).await;
    let before = Counters::read(&server).await;
    let mut failures = Vec::new();
    for row in &rows {
        if let Err(failure) = row.play(&server).await {
            failures.push(format!("{}: {failure}", row.name));
        }
        bystanders.talk(row.name).await;
    }
    assert!(
        failures.is_empty(),
        "{} of {} rows:\n{}",
        failures.len(),
        rows.len(),
        failures.join("\n")
    );

    let after = Counters::read(&server).await;
    let closes = rows.iter().filter(|row| row.closes()).count() as u64;
    let refusals = rows.iter().filter(|row| row.stage() == Stage::Http).count();
    assert!(
        after.closed - before.closed >= closes,
        "{closes} rows end in a close, counted: {after:?}"
    );
    assert!(
        after.refused > before.refused,
        "{refusals} requests were refused, counted: {after:?}"
    );
    assert!(
        after.errors > before.errors,
        "no refused event or token was counted: {after:?}"
    );
    assert_eq!(after.panics, 0, "a handler panicked");
    let log = server.log();
    assert!(!log.contains("panicked"), "the log reports a panic:\n{log}");

    drop(bystanders);
    server.kill9().await.unwrap();
    server.restart().await.unwrap();
    assert_history(&server, rows.len() as u64).await;
}

/// Checks that [`QUIET`] has every acknowledged message: each seq from 1 to `count` once.
async fn assert_history(server: &ServerProcess, count: u64) {
    let reader = join(server, "reader").await;
    let (mut seqs, mut after) = (Vec::new(), 0);
    loop {
        let page = json!({ "room": QUIET, "after": after, "limit": 200 });
        let ack = reader.call("chat:get_history", &page).await.unwrap();
        let messages = ack["data"]["messages"]
            .as_array()
            .unwrap_or_else(|| panic!("{ack}"))
            .clone();
        seqs.extend(messages.iter().filter_map(|message| message["seq"].as_u64()));
        after = seqs.last().copied().unwrap_or(0);
        if ack["data"]["more"] != true {
            break;
        }
    }
    assert_eq!(seqs, (1..=count).collect::<Vec<_>>());
}

/// The server answers a flood with `rate_limited` and a delay, stores the accepted messages, and serves other
/// clients.
#[tokio::test]
async fn a_flood_is_limited_and_counted() {
    let config = Config::new(env!("CARGO_BIN_EXE_roomful"));
    let server = ServerProcess::start_with(config).await.unwrap();
    let mut bystanders = Bystanders::gather(&server).await;
    let flooder = join(&server, "flooder").await;
    let room = json!({ "room": "flood" });
    assert_eq!(flooder.call("chat:join", &room).await.unwrap()["ok"], true);

    let (mut stored, mut limited) = (Vec::new(), 0);
    for i in 0..120 {
        let message = json!({ "room": "flood", "text": "x", "clientId": format!("f{i}") });
        let ack = flooder.call("chat:send_message", &message).await.unwrap();
        if ack["ok"] == true {
            stored.push(ack["data"]["seq"].as_u64().unwrap());
        } else {
            assert_eq!(ack["error"]["code"], "rate_limited", "{ack}");
            assert_eq!(ack["error"]["retryable"], true, "{ack}");
            assert!(
                ack["error"]["retryAfterMs"]
                    .as_u64()
                    .is_some_and(|ms| ms > 0 && ms < 10_000),
                "{ack}"
            );
            limited += 1;
        }
    }
    assert!(limited > 0, "120 events at once, and none was limited");
    assert!(
        stored.len() >= 30,
        "a burst of 40 is allowed; only {} were taken",
        stored.len()
    );
    bystanders.talk("a flood").await;
    assert_eq!(stored, (1..=stored.len() as u64).collect::<Vec<_>>());
    assert!(Counters::read(&server).await.errors >= limited);
}

/// Counters of refusals and failures, each summed over its labels.
#[derive(Debug)]
struct Counters {
    closed: u64,
    refused: u64,
    errors: u64,
    panics: u64,
}

impl Counters {
    async fn read(server: &ServerProcess) -> Self {
        let answer = http::get(server.addr(), "/metrics").await.unwrap();
        assert_eq!(answer.status, 200);
        let text = answer.text();
        let sum = |name: &str| -> u64 {
            let lines = text.lines().filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            });
            lines
                .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
                .sum()
        };
        Self {
            closed: sum("roomful_closed_total"),
            refused: sum("roomful_http_refused_total"),
            errors: sum("roomful_errors_total"),
            panics: sum("roomful_handler_panics_total"),
        }
    }
}

/// JSON that is nested deeper than a parser should follow. [`Value`] cannot represent it.
fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// A message payload with the fields of `more`.
fn message(room: &str, text: &str, more: &Value) -> Value {
    let mut message = json!({ "room": room, "text": text });
    for (key, value) in more.as_object().into_iter().flatten() {
        message[key] = value.clone();
    }
    message
}
