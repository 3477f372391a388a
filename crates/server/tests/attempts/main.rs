//! A table of attempts by attackers, wrong clients and wrong backends against moderation, reports, blocks,
//! profiles, hooks, content rules, API keys, issuers of tokens, personal data, the audit log and the console.
//!
//! Each attempt has one expected answer. After all of them nothing that they aimed at has changed, honest
//! users chat, and the server has counted its refusals.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

mod attempt;
mod content;
#[allow(dead_code, reason = "the tests of issuers need more of it")]
#[path = "../issuers/issuer.rs"]
mod issuer;
mod keys;
mod moderation;
mod pages;
mod people;
#[allow(dead_code, reason = "the tests of hooks and webhooks need more of it")]
#[path = "../webhooks/receiver.rs"]
mod receiver;
mod records;
mod tls;
mod tokens;
mod world;

use std::collections::HashSet;

use roomful_testkit::{Error, ServerProcess, SioClient, http, server::Config, token};
use serde_json::{Value, json};

use attempt::{Attempt, Key, metric};
use world::{KEYS, World};

fn rows(world: &World) -> Vec<Attempt> {
    let secret = world.server.secret();
    [
        moderation::rows(secret),
        people::rows(secret),
        content::rows(),
        keys::rows(world.server.api_key()),
        tokens::rows(world),
        records::rows(),
        pages::rows(),
    ]
    .concat()
}

#[tokio::test]
async fn every_attempt_gets_its_answer_and_changes_nothing() {
    let world = World::start().await;
    let rows = rows(&world);
    assert!(rows.len() >= 80, "{} rows", rows.len());
    let names: HashSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "two rows have the same name");

    let (before, counted) = (world.state().await, Counters::read(&world).await);
    let mut failures = Vec::new();
    for row in &rows {
        if let Err(failure) = row.play(&world).await {
            failures.push(format!("{}: {failure}", row.name));
        }
    }
    let (count, failed) = (rows.len(), failures.len());
    assert!(
        failures.is_empty(),
        "{failed} of {count} rows:\n{}",
        failures.join("\n")
    );
    assert_eq!(world.state().await, before, "an attempt has changed something");

    assert_counted(&world, &rows, counted).await;
    for number in 0..KEYS.len() {
        let path = format!("/audit?actor=key:key-{number}");
        let records = world.done("GET", &path, Value::Null).await;
        assert_eq!(
            records["records"],
            json!([]),
            "a refused call is in the audit log"
        );
    }
    assert_honest_users_chat(&world).await;
    let log = world.server.log();
    assert!(!log.contains("panicked"), "the log reports a panic:\n{log}");
    assert!(
        !log.contains(world.server.api_key()) && !log.contains(world.server.secret()),
        "the log has a secret:\n{log}"
    );
}

/// Two users of the room that most attempts aimed at exchange a message, and the server is ready.
async fn assert_honest_users_chat(world: &World) {
    let sent = world.send("ann", "den", "after all that").await;
    let of_this = |message: &Value| message["seq"] == sent["seq"];
    let patience = roomful_testkit::PATIENCE;
    let received = world
        .person("bob")
        .find_event(patience, "chat:receive_message", of_this);
    let received = received.await.unwrap();
    assert_eq!(
        (&received["userId"], &received["text"]),
        (&json!("ann"), &json!("after all that"))
    );
    let ready = http::get(world.server.addr(), "/readyz").await.unwrap();
    assert_eq!(ready.status, 200, "{}", ready.text());
}

/// Counters of refusals.
#[derive(Debug)]
struct Counters {
    clients: u64,
    calls: u64,
    by_rules: u64,
    by_hooks: u64,
    of_issuers: u64,
    over_quota: u64,
    panics: u64,
}

impl Counters {
    async fn read(world: &World) -> Self {
        Self {
            clients: metric(world, "roomful_errors_total", "").await,
            calls: metric(world, "roomful_api_requests_total", "4xx").await,
            by_rules: metric(world, "roomful_moderation_rule_matches_total", "refuse").await,
            by_hooks: metric(world, "roomful_hook_failures_total", "").await,
            of_issuers: metric(world, "roomful_auth_tokens_total", "refused").await,
            over_quota: metric(world, "roomful_quota_exceeded_total", "").await,
            panics: metric(world, "roomful_handler_panics_total", "").await,
        }
    }
}

/// Checks that each kind of refusal was counted.
async fn assert_counted(world: &World, rows: &[Attempt], before: Counters) {
    let after = Counters::read(world).await;
    let count = |wanted: fn(&Attempt) -> bool| rows.iter().filter(|row| wanted(row)).count() as u64;
    assert!(
        after.clients - before.clients >= count(Attempt::is_refused_client),
        "refused events and tokens: {after:?}, {before:?}"
    );
    assert!(
        after.calls - before.calls >= count(Attempt::is_refused_call),
        "refused calls: {after:?}, {before:?}"
    );
    let by_rules = count(|row| row.expected == content::REFUSED && row.emits());
    assert!(after.by_rules - before.by_rules >= by_rules, "{after:?}");
    assert!(after.by_hooks - before.by_hooks >= 5, "{after:?}");
    assert!(after.of_issuers - before.of_issuers >= 10, "{after:?}");
    assert!(after.over_quota - before.over_quota >= 3, "{after:?}");
    assert_eq!(after.panics, 0, "a handler panicked");
}

/// Attempts that take more than one call.
#[tokio::test]
async fn floods_and_races_end_as_they_should() {
    let world = World::start().await;

    // Erasing a user while erasing them, and exporting them meanwhile.
    let erase = || world.call_with(Key::Full, "DELETE", "/users/bob?messages=anonymise", &Value::Null);
    let export = || world.call_with(Key::Full, "GET", "/users/bob/export", &Value::Null);
    let (first, exported, second) = tokio::join!(erase(), export(), erase());
    let statuses = [first, exported, second].map(|answer| answer.unwrap().status);
    assert_eq!(statuses, [200; 3]);
    assert_eq!(
        export().await.unwrap().text(),
        "",
        "nothing of the erased user is left"
    );
    let auth = json!({ "token": token::for_user(world.server.secret(), "bob") });
    let refused = SioClient::connect(world.server.addr(), "/", &auth).await;
    assert!(
        matches!(&refused, Err(Error::ConnectRefused(why)) if why["data"]["code"] == "unauthorized"),
        "a token from before the erasure: {refused:?}"
    );

    // Slow mode remembers members who leave.
    let ann = world.person("ann");
    for (event, expected) in [
        ("chat:leave", Value::Null),
        ("chat:join", Value::Null),
        ("chat:send_message", json!("slow_mode")),
    ] {
        let argument = json!({ "room": "snail", "text": "again" });
        let ack = ann.call(event, &argument).await.unwrap();
        assert_eq!(ack["error"]["code"], expected, "{event}: {ack}");
    }

    // The issuer is asked at most once in ten seconds, and once at the start.
    let claims = world.issuer.claims("eve");
    for number in 0..50 {
        let token = world.foreign_key.named(&format!("kid-{number}")).sign(&claims);
        let auth = json!({ "token": token });
        assert!(SioClient::connect(world.server.addr(), "/", &auth).await.is_err());
    }
    assert!(world.issuer.fetches() <= 2, "{} fetches", world.issuer.fetches());

    // No page of another site can frame the console, and it has no inline script.
    let console = http::get(world.server.addr(), "/console").await.unwrap();
    let policy = console.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(
        !policy.contains("unsafe-inline") && !policy.contains("unsafe-eval"),
        "{policy}"
    );
    assert_eq!(console.header("referrer-policy"), Some("no-referrer"));
}

#[tokio::test]
async fn floods_of_wrong_keys_and_orders_are_limited() {
    let config = Config::new(env!("CARGO_BIN_EXE_roomful")).env("ROOMFUL__API__FAILURES_PER_MINUTE", "10");
    let server = ServerProcess::start_with(config).await.unwrap();
    let call = async |key: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        let answer = http::request(server.addr(), "GET", "/api/v1/key", &headers, b"").await;
        answer.unwrap().status
    };
    let mut statuses = Vec::new();
    for number in 0..20 {
        statuses.push(call(&format!("a guessed key, number {number}")).await);
    }
    assert_eq!(statuses[0], 401);
    assert_eq!(statuses[19], 429, "{statuses:?}");
    assert_eq!(
        call(server.api_key()).await,
        200,
        "the backend's own key still works"
    );

    let auth = json!({ "token": token::for_user(server.secret(), "eve") });
    let eve = SioClient::connect(server.addr(), "/", &auth).await.unwrap();
    let mut codes = HashSet::new();
    for _ in 0..120 {
        let order = json!({ "room": "den", "action": "ban", "userId": "bob" });
        let ack = eve.call("chat:moderate", &order).await.unwrap();
        codes.insert(ack["error"]["code"].as_str().unwrap().to_owned());
    }
    let expected = ["forbidden", "rate_limited"].map(str::to_owned);
    assert_eq!(codes, HashSet::from(expected));
}
