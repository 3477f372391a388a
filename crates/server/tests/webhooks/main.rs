//! Tests of webhooks on the running binary, with a real receiver that fails, hangs and recovers.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

mod receiver;

use std::collections::{HashMap, HashSet};

use receiver::{Mood, Post, Receiver, SECRET};
use roomful_testkit::{PATIENCE, ServerProcess, SioClient, http, server::Config, token};
use serde_json::{Value, json};
use tokio::time::timeout;

const ALL: &str = r#"["message.created", "message.undelivered", "user.online", "user.offline",
    "room.created", "room.emptied", "message.reported"]"#;

fn config(receiver: &Receiver, events: &str) -> Config {
    let webhooks = format!(
        r#"[{{ name = "app", url = "http://{}/hook", secret = "{SECRET}", events = {events} }}]"#,
        receiver.addr
    );
    Config::new(env!("CARGO_BIN_EXE_roomful"))
        .env("ROOMFUL__WEBHOOKS", &webhooks)
        .env("ROOMFUL__OUTBOX__RETRY_FIRST", "50ms")
        .env("ROOMFUL__OUTBOX__RETRY_MAX", "200ms")
        .env("ROOMFUL__OUTBOX__TIMEOUT", "300ms")
        .env("ROOMFUL__OUTBOX__ATTEMPTS", "1000")
        .env("ROOMFUL__PRESENCE__GRACE", "50ms")
        .env("ROOMFUL_LIMITS", "off")
        .env("ROOMFUL_LOG", "trace")
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

async fn say(client: &SioClient, room: &str, text: &str) {
    let message = json!({ "room": room, "text": text, "clientId": text });
    ok(&client.call("chat:send_message", &message).await.unwrap());
}

fn of<'a>(posts: &'a [Post], kind: &'a str) -> impl Iterator<Item = &'a Post> {
    posts.iter().filter(move |post| post.kind() == kind)
}

/// The texts of accepted `message.created` records, by id.
fn taken(posts: &[Post]) -> HashMap<String, String> {
    of(posts, "message.created")
        .filter(|post| post.mood == Mood::Take)
        .map(|post| {
            (
                post.id.clone(),
                post.body["data"]["text"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

async fn roomful(server: &ServerProcess, receiver: &Receiver, args: &[&str]) -> (Option<i32>, String) {
    let settings = config(receiver, ALL);
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_roomful"))
        .args(args)
        .arg("--data")
        .arg(server.data())
        .envs(settings.env)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text)
}

#[tokio::test]
async fn every_kind_of_event_is_delivered() {
    let receiver = Receiver::start(Mood::Take).await;
    let server = ServerProcess::start_with(config(&receiver, ALL)).await.unwrap();
    let alice = client(&server, "alice", "lobby").await;
    say(&alice, "lobby", "hello").await;
    let report = json!({ "room": "lobby", "seq": 1, "reason": "spam" });
    ok(&alice.call("chat:report", &report).await.unwrap());
    drop(alice);
    let posts = receiver
        .wait("an emptied room", |posts| {
            ["room.emptied", "user.offline", "message.reported"]
                .iter()
                .all(|kind| of(posts, kind).count() == 1)
        })
        .await;
    let data = |kind| of(&posts, kind).next().unwrap().body["data"].clone();
    let message = data("message.created");
    assert_eq!(
        [
            &message["text"],
            &message["userId"],
            &message["room"],
            &message["seq"],
            &message["clientId"]
        ],
        [
            &json!("hello"),
            &json!("alice"),
            &json!("lobby"),
            &json!(1),
            &json!("hello")
        ]
    );
    assert!(message["id"].is_string() && message["at"].is_i64());
    assert_eq!(data("room.created")["room"], "lobby");
    assert_eq!(data("room.emptied")["room"], "lobby");
    assert_eq!(data("user.online")["userId"], "alice");
    assert_eq!(data("user.offline")["userId"], "alice");
    assert!(data("user.offline")["lastSeen"].is_i64());
    let reported = data("message.reported");
    assert!(reported["id"].is_i64() && reported["at"].is_i64(), "{reported}");
    assert_eq!(
        [
            &reported["room"],
            &reported["seq"],
            &reported["reporter"],
            &reported["reason"],
            &reported["message"]["text"]
        ],
        [
            &json!("lobby"),
            &json!(1),
            &json!("alice"),
            &json!("spam"),
            &json!("hello")
        ]
    );
    assert_eq!(reported.get("text"), None, "{reported}");
    let ids: HashSet<_> = posts.iter().map(|post| &post.id).collect();
    assert_eq!(ids.len(), 6, "{posts:#?}");

    // The server counts an attempt after it has read the response.
    let series = "roomful_webhooks_attempts_total{endpoint=\"app\",outcome=\"delivered\"} 6";
    timeout(PATIENCE, async {
        while !http::get(server.addr(), "/metrics")
            .await
            .unwrap()
            .text()
            .contains(series)
        {}
    })
    .await
    .unwrap();
    for secret in [SECRET, SECRET.trim_start_matches("whsec_"), "/hook"] {
        assert!(!server.log().contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn nothing_is_lost_through_failures_of_the_receiver_and_kills_of_the_server() {
    let receiver = Receiver::start(Mood::Answer(500)).await;
    let mut server = ServerProcess::start_with(config(&receiver, ALL)).await.unwrap();
    let moods = [
        Mood::Answer(500),
        Mood::Hang,
        Mood::Die,
        Mood::Answer(302),
        Mood::Answer(404),
    ];
    let mut said = HashSet::new();
    for (round, mood) in moods.into_iter().enumerate() {
        receiver.set(mood);
        let alice = client(&server, "alice", "lobby").await;
        for n in 0..5 {
            let text = format!("{round}.{n}");
            say(&alice, "lobby", &text).await;
            said.insert(text);
        }
        receiver
            .wait("a refused post", |posts| {
                posts.iter().any(|post| post.mood == mood)
            })
            .await;
        server.kill9().await.unwrap();
        server.restart().await.unwrap();
    }
    receiver.set(Mood::Take);
    let posts = receiver
        .wait("every message", |posts| taken(posts).len() >= said.len())
        .await;
    let reported = taken(&posts);
    assert_eq!(reported.values().cloned().collect::<HashSet<_>>(), said);
    assert_eq!(
        reported.len(),
        said.len(),
        "one id for each message, over all attempts"
    );
    let mut ids: HashMap<String, HashSet<String>> = HashMap::new();
    for post in of(&posts, "message.created") {
        let text = post.body["data"]["text"].as_str().unwrap().to_owned();
        ids.entry(text).or_default().insert(post.id.clone());
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:#?}");
}

#[tokio::test]
async fn a_message_is_undelivered_only_for_members_who_did_not_acknowledge_it() {
    let receiver = Receiver::start(Mood::Take).await;
    let settings =
        config(&receiver, r#"["message.undelivered"]"#).env("ROOMFUL__OUTBOX__UNDELIVERED_AFTER", "3s");
    let server = ServerProcess::start_with(settings).await.unwrap();
    let alice = client(&server, "alice", "lobby").await;
    let reader = client(&server, "reader", "lobby").await;
    let idler = client(&server, "idler", "lobby").await;
    // Webhooks use real connections, not the visible status.
    for client in [&reader, &idler] {
        let ask = json!({ "status": "invisible" });
        ok(&client.call("presence:set_status", &ask).await.unwrap());
    }
    drop(client(&server, "away", "lobby").await);
    let watch = json!({ "users": ["away"] });
    timeout(PATIENCE, async {
        while alice.call("presence:subscribe", &watch).await.unwrap()["data"]["users"][0]["status"]
            != "offline"
        {}
    })
    .await
    .unwrap();
    say(&alice, "lobby", "hello").await;
    ok(&reader
        .call("chat:message_read", &json!({ "room": "lobby", "seq": 1 }))
        .await
        .unwrap());
    let posts = receiver.wait("two alerts", |posts| posts.len() >= 2).await;
    let users: Vec<_> = posts.iter().map(|post| &post.body["data"]["userIds"]).collect();
    assert_eq!(
        users,
        [&json!(["away"]), &json!(["idler"])],
        "the offline member at once, the idle member after the full delay"
    );
    assert_eq!(posts[0].body["data"]["message"]["text"], "hello");
}

#[tokio::test]
async fn dead_records_are_listed_and_replayed() {
    let receiver = Receiver::start(Mood::Answer(500)).await;
    let settings = config(&receiver, r#"["message.created"]"#).env("ROOMFUL__OUTBOX__ATTEMPTS", "2");
    let mut server = ServerProcess::start_with(settings).await.unwrap();
    let alice = client(&server, "alice", "lobby").await;
    say(&alice, "lobby", "hello").await;
    let listed = timeout(PATIENCE, async {
        loop {
            let (code, listed) = roomful(&server, &receiver, &["webhooks", "list", "--state", "dead"]).await;
            assert_eq!(code, Some(0), "{listed}");
            if !listed.is_empty() {
                return listed;
            }
        }
    });
    let listed = listed.await.unwrap();
    let fields: Vec<_> = listed.trim_end().split('\t').collect();
    assert_eq!(fields[1], "message.created");
    assert_eq!(fields[3..], ["app", "dead", "2", "answered 500"]);
    let (code, said) = roomful(&server, &receiver, &["webhooks", "replay", "evt_none"]).await;
    assert_eq!((code, said.contains("no record")), (Some(2), true), "{said}");

    // The HTTP API lists the same record, and `explain` names the failure.
    let answer = server
        .api("GET", "/webhooks/records?state=dead", &Value::Null)
        .await
        .unwrap();
    let dead = answer.json();
    let record = &dead["records"][0];
    assert_eq!((answer.status, &record["id"]), (200, &json!(fields[0])));
    assert_eq!(
        (
            &record["event"],
            &record["sink"],
            &record["state"],
            &record["attempts"],
            &record["error"]
        ),
        (
            &json!("message.created"),
            &json!("app"),
            &json!("dead"),
            &json!(2),
            &json!("answered 500")
        )
    );
    let answer = server
        .api("GET", "/explain?user=bob&room=lobby&seq=1", &Value::Null)
        .await
        .unwrap();
    let explained = answer.json();
    let findings = explained["findings"].to_string();
    assert!(
        findings.contains("The event message.created did not reach app: answered 500."),
        "{findings}"
    );
    let answer = server
        .api("POST", "/webhooks/records/evt_none/replay", &Value::Null)
        .await
        .unwrap();
    assert_eq!(answer.status, 404);
    let seen = receiver.posts().len();
    let replay = format!("/webhooks/records/{}/replay", fields[0]);
    let answer = server.api("POST", &replay, &Value::Null).await.unwrap();
    assert_eq!((answer.status, answer.json()), (200, json!({ "records": 1 })));
    receiver
        .wait("two attempts after a replay", |posts| posts.len() >= seen + 2)
        .await;

    // The command works on the store of a running server ...
    let seen = receiver.posts().len();
    let (code, said) = roomful(&server, &receiver, &["webhooks", "replay", fields[0]]).await;
    assert_eq!((code, said.as_str()), (Some(0), "1 records are due again\n"));
    receiver
        .wait("two more attempts", |posts| posts.len() >= seen + 2)
        .await;
    // ... and of a stopped one.
    server.terminate().await.unwrap();
    receiver.set(Mood::Take);
    let (code, _) = roomful(&server, &receiver, &["webhooks", "replay", fields[0]]).await;
    assert_eq!(code, Some(0));
    server.restart().await.unwrap();
    let posts = receiver
        .wait("the delivery", |posts| {
            posts.iter().any(|post| post.mood == Mood::Take)
        })
        .await;
    assert!(posts.iter().all(|post| post.id == fields[0]), "{posts:#?}");
}

#[tokio::test]
async fn an_endpoint_that_answers_410_gets_no_more_posts() {
    let receiver = Receiver::start(Mood::Answer(410)).await;
    let settings = config(&receiver, r#"["room.created"]"#).env("ROOMFUL__OUTBOX__CONCURRENCY", "1");
    let server = ServerProcess::start_with(settings).await.unwrap();
    let alice = client(&server, "alice", "one").await;
    receiver.wait("the first post", |posts| posts.len() == 1).await;
    ok(&alice.call("chat:join", &json!("two")).await.unwrap());
    let pending = timeout(PATIENCE, async {
        loop {
            let (_, listed) = roomful(&server, &receiver, &["webhooks", "list"]).await;
            let states: Vec<_> = listed
                .lines()
                .map(|line| line.split('\t').nth(4).unwrap().to_owned())
                .collect();
            if states == ["pending", "dead"] {
                return;
            }
        }
    });
    pending.await.unwrap();
    server.wait_log("the endpoint answered 410").await.unwrap();
    assert_eq!(receiver.posts().len(), 1);
}

#[tokio::test]
async fn an_outage_is_logged_once_with_its_end_and_exported() {
    let receiver = Receiver::start(Mood::Answer(500)).await;
    let settings = config(&receiver, r#"["message.created"]"#);
    let server = ServerProcess::start_with(settings).await.unwrap();
    let alice = client(&server, "alice", "lobby").await;
    say(&alice, "lobby", "hello").await;
    receiver
        .wait("several failed attempts", |posts| posts.len() >= 5)
        .await;
    wait_for_metric(&server, "roomful_webhooks_failing{endpoint=\"app\"} 1").await;
    receiver.set(Mood::Take);
    wait_for_metric(&server, "roomful_webhooks_failing{endpoint=\"app\"} 0").await;
    wait_for_metric(&server, "roomful_webhooks_dead_total{endpoint=\"app\"} 0").await;
    wait_for_metric(&server, "roomful_webhooks_dropped_total{cause=\"outbox_full\"} 0").await;
    let log = server.log();
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines("failed to deliver records, retrying"), 1, "{log}");
    assert_eq!(lines("delivering records again"), 1, "{log}");
}

async fn wait_for_metric(server: &ServerProcess, series: &str) {
    let found = timeout(PATIENCE, async {
        loop {
            let metrics = http::get(server.addr(), "/metrics").await.unwrap().text();
            if metrics.lines().any(|line| line == series) {
                return;
            }
        }
    });
    found.await.expect(series);
}
