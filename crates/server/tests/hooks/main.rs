//! Tests of hooks on the running binary, with a real endpoint that allows, refuses, replaces and fails.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

mod failures;
#[path = "../webhooks/receiver.rs"]
mod receiver;

use receiver::{Mood, Receiver, SECRET};
use roomful_testkit::{Error, ServerProcess, SioClient, http, server::Config, token};
use serde_json::{Value, json};

const ALLOW: Mood = Mood::Say(r#"{"action":"allow"}"#);
const REFUSE: Mood = Mood::Say(r#"{"action":"refuse","reason":"be kind"}"#);
const REPLACE: Mood =
    Mood::Say(r#"{"action":"replace","message":{"text":"***","metadata":{"masked":true}}}"#);

/// A hook for an event; `more` are further fields.
fn hook(receiver: &Receiver, event: &str, more: &str) -> String {
    let url = format!("http://{}/hook", receiver.addr);
    format!(r#"{{ event = "{event}", url = "{url}", secret = "{SECRET}"{more} }}"#)
}

async fn start(hooks: &[String]) -> ServerProcess {
    let config = Config::new(env!("CARGO_BIN_EXE_roomful"))
        .env("ROOMFUL__HOOKS", &format!("[{}]", hooks.join(", ")))
        .env("ROOMFUL_LIMITS", "off");
    ServerProcess::start_with(config).await.unwrap()
}

async fn connect(server: &ServerProcess, user: &str) -> Result<SioClient, Error> {
    let auth = json!({ "token": token::for_user(server.secret(), user) });
    SioClient::connect(server.addr(), "/", &auth).await
}

async fn joined(server: &ServerProcess, user: &str, room: &str) -> SioClient {
    let client = connect(server, user).await.unwrap();
    ok(&client.call("chat:join", &json!(room)).await.unwrap());
    client
}

async fn send(client: &SioClient, message: &Value) -> Value {
    client.call("chat:send_message", message).await.unwrap()
}

/// The data of a successful ack.
#[track_caller]
fn ok(ack: &Value) -> &Value {
    assert_eq!(ack["ok"], true, "{ack}");
    &ack["data"]
}

/// Code, message and whether to retry of a failed ack.
#[track_caller]
fn error(ack: &Value) -> (&str, &str, bool) {
    let error = &ack["error"];
    assert_eq!(ack["ok"], false, "{ack}");
    (
        error["code"].as_str().unwrap(),
        error["message"].as_str().unwrap(),
        error["retryable"].as_bool().unwrap(),
    )
}

async fn metrics(server: &ServerProcess) -> String {
    http::get(server.addr(), "/metrics").await.unwrap().text()
}

/// The texts of the room's messages.
async fn texts(client: &SioClient, room: &str) -> Vec<String> {
    let page = client.call("chat:get_history", &json!(room)).await.unwrap();
    let messages = ok(&page)["messages"].as_array().unwrap().clone();
    messages
        .iter()
        .map(|message| message["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_message_is_allowed_refused_or_replaced() {
    let receiver = Receiver::start(ALLOW).await;
    let server = start(&[hook(&receiver, "message.send", r#", rooms = ["pub-*"]"#)]).await;
    let alice = joined(&server, "alice", "pub-1").await;
    let message = json!({
        "room": "pub-1", "text": "hello", "clientId": "c1", "mentions": ["bob"], "metadata": { "n": 1 },
    });
    ok(&send(&alice, &message).await);
    let asked = json!({
        "event": "message.send", "user": "alice", "room": "pub-1",
        "message": { "text": "hello", "clientId": "c1", "mentions": ["bob"], "metadata": { "n": 1 } },
    });
    assert_eq!(receiver.posts()[0].body, asked);
    assert!(receiver.posts()[0].id.starts_with("hook_"));

    receiver.set(REFUSE);
    let refused = send(&alice, &json!({ "room": "pub-1", "text": "rude" })).await;
    assert_eq!(error(&refused), ("refused", "be kind", false));

    receiver.set(REPLACE);
    ok(&send(
        &alice,
        &json!({ "room": "pub-1", "text": "rude", "clientId": "c2" }),
    )
    .await);
    let shown = loop {
        let message = alice.next_event("chat:receive_message").await.unwrap();
        if message["clientId"] == "c2" {
            break message;
        }
    };
    assert_eq!(shown["metadata"], json!({ "masked": true }));
    assert_eq!(texts(&alice, "pub-1").await, ["hello", "***"]);

    // Other rooms are nobody's business.
    let asked = receiver.posts().len();
    receiver.set(REFUSE);
    let bob = joined(&server, "bob", "private").await;
    ok(&send(&bob, &json!({ "room": "private", "text": "rude" })).await);
    assert_eq!(receiver.posts().len(), asked);
    let metrics = metrics(&server).await;
    for action in ["allow", "refuse", "replace"] {
        let series = format!(r#"roomful_hook_answers_total{{hook="message.send",action="{action}"}} 1"#);
        assert!(metrics.contains(&series), "{series}\n{metrics}");
    }
}

#[tokio::test]
async fn a_sender_cannot_make_the_answer_too_large_to_be_heeded() {
    let receiver = Receiver::start(ALLOW).await;
    let server = start(&[hook(&receiver, "message.send", "")]).await;
    let alice = joined(&server, "alice", "lobby").await;
    let longer = format!(
        r#"{{"action":"replace","message":{{"text":"{}"}}}}"#,
        "x".repeat(16 * 1024 + 1)
    );
    // Each character of the largest text takes six bytes in JSON.
    let escaped = "\\u0007".repeat(16 * 1024);
    let repeated = format!(r#"{{"action":"replace","message":{{"text":"{escaped}"}}}}"#);
    let message = json!({ "room": "lobby", "text": "rude" });
    for _ in 0..10 {
        receiver.set(Mood::Say(longer.clone().leak()));
        let refused = send(&alice, &message).await;
        let (code, text, retryable) = error(&refused);
        assert_eq!((code, retryable), ("refused", false), "{text}");
    }
    receiver.set(Mood::Say(repeated.leak()));
    ok(&send(&alice, &message).await);
    assert_eq!(texts(&alice, "lobby").await, ["\u{7}".repeat(16 * 1024)]);
}

#[tokio::test]
async fn a_refused_connection_changes_no_profile() {
    let receiver = Receiver::start(REFUSE).await;
    let server = start(&[hook(&receiver, "connect", "")]).await;
    assert!(connect(&server, "mallory").await.is_err());
    receiver.set(ALLOW);
    connect(&server, "bob").await.unwrap();
    let path = |user: &str| format!("/users/{user}");
    assert_eq!(
        server
            .api("GET", &path("mallory"), &Value::Null)
            .await
            .unwrap()
            .status,
        404
    );
    assert_eq!(
        server
            .api("GET", &path("bob"), &Value::Null)
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn a_retry_of_a_stored_message_is_not_asked_about_again() {
    let receiver = Receiver::start(REPLACE).await;
    let server = start(&[hook(&receiver, "message.send", "")]).await;
    let alice = joined(&server, "alice", "lobby").await;
    let message = json!({ "room": "lobby", "text": "rude", "clientId": "c1" });
    let first = send(&alice, &message).await;
    receiver.set(REFUSE);
    let again = send(&alice, &message).await;
    assert_eq!(ok(&again)["duplicate"], true);
    for field in ["id", "seq", "at"] {
        assert_eq!(ok(&again)[field], ok(&first)[field]);
    }
    let edit = json!({ "room": "lobby", "seq": 1, "text": "x", "clientId": "c1" });
    let conflict = alice.call("chat:edit_message", &edit).await.unwrap();
    assert_eq!(error(&conflict).0, "conflict");
    assert_eq!(receiver.posts().len(), 1);
    // Refused messages leave no trace, so the next attempt is asked about.
    let message = json!({ "room": "lobby", "text": "rude", "clientId": "c2" });
    assert_eq!(error(&send(&alice, &message).await).0, "refused");
    receiver.set(ALLOW);
    assert_eq!(ok(&send(&alice, &message).await)["duplicate"], false);
    assert_eq!(receiver.posts().len(), 3);
}

#[tokio::test]
async fn edits_and_posts_of_the_backend_pass_through_the_hook() {
    let receiver = Receiver::start(ALLOW).await;
    let server = start(&[hook(&receiver, "message.send", "")]).await;
    let alice = joined(&server, "alice", "lobby").await;
    ok(&send(
        &alice,
        &json!({ "room": "lobby", "text": "one", "metadata": { "n": 1 } }),
    )
    .await);
    let edit = |text: &str, id: &str| json!({ "room": "lobby", "seq": 1, "text": text, "clientId": id });
    receiver.set(Mood::Say(r#"{"action":"replace","message":{"text":"two!"}}"#));
    let edited = alice.call("chat:edit_message", &edit("two", "e1")).await.unwrap();
    assert_eq!(ok(&edited)["duplicate"], false);
    let asked = json!({
        "event": "message.send", "user": "alice", "room": "lobby",
        "message": { "seq": 1, "text": "two", "clientId": "e1" },
    });
    assert_eq!(receiver.posts()[1].body, asked);
    receiver.set(REFUSE);
    let again = alice.call("chat:edit_message", &edit("two", "e1")).await.unwrap();
    assert_eq!(ok(&again)["duplicate"], true);
    let refused = alice
        .call("chat:edit_message", &edit("three", "e2"))
        .await
        .unwrap();
    assert_eq!(error(&refused), ("refused", "be kind", false));
    assert_eq!(texts(&alice, "lobby").await, ["two!"]);

    let post = |text: &str| json!({ "userId": "bot", "text": text, "clientId": text });
    let path = "/rooms/lobby/messages";
    let refused = server.api("POST", path, &post("four")).await.unwrap();
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (403, &json!("refused"))
    );
    assert_eq!(refused.json()["error"]["message"], "be kind");
    receiver.set(REPLACE);
    let posted = server.api("POST", path, &post("five")).await.unwrap();
    assert!(posted.status < 300, "{}", posted.text());
    assert_eq!(texts(&alice, "lobby").await, ["two!", "***"]);
    receiver.set(REFUSE);
    let again = server.api("POST", path, &post("five")).await.unwrap();
    assert_eq!(again.json()["duplicate"], true, "{}", again.text());
    // Deletes and reactions say nothing new.
    let asked = receiver.posts().len();
    let react = json!({ "room": "lobby", "seq": 1, "emoji": "+" });
    ok(&alice.call("chat:react", &react).await.unwrap());
    let delete = json!({ "room": "lobby", "seq": 1 });
    ok(&alice.call("chat:delete_message", &delete).await.unwrap());
    assert_eq!(receiver.posts().len(), asked);
}

#[tokio::test]
async fn a_message_passes_through_all_hooks_in_their_order() {
    let first = Receiver::start(REPLACE).await;
    let second = Receiver::start(ALLOW).await;
    let hooks = [
        hook(&first, "message.send", ""),
        hook(&second, "message.send", ""),
    ];
    let server = start(&hooks).await;
    let alice = joined(&server, "alice", "lobby").await;
    ok(&send(&alice, &json!({ "room": "lobby", "text": "rude" })).await);
    let message = json!({ "text": "***", "metadata": { "masked": true } });
    assert_eq!(second.posts()[0].body["message"], message);
    assert_eq!(texts(&alice, "lobby").await, ["***"]);
    first.set(REFUSE);
    let refused = send(&alice, &json!({ "room": "lobby", "text": "rude" })).await;
    assert_eq!(error(&refused).0, "refused");
    assert_eq!(second.posts().len(), 1, "the first refusal decides");
    let metrics = metrics(&server).await;
    for (name, action) in [("message.send", "refuse"), ("message.send-2", "allow")] {
        let series = format!(r#"roomful_hook_answers_total{{hook="{name}",action="{action}"}} 1"#);
        assert!(metrics.contains(&series), "{series}\n{metrics}");
    }
}

#[tokio::test]
async fn only_new_memberships_are_asked_about() {
    let receiver = Receiver::start(REFUSE).await;
    let server = start(&[hook(&receiver, "room.join", "")]).await;
    let alice = connect(&server, "alice").await.unwrap();
    let refused = alice.call("chat:join", &json!("lobby")).await.unwrap();
    assert_eq!(error(&refused), ("refused", "be kind", false));
    assert_eq!(
        receiver.posts()[0].body,
        json!({ "event": "room.join", "user": "alice", "room": "lobby" })
    );
    let room = server.api("GET", "/rooms/lobby", &Value::Null).await.unwrap();
    assert_eq!(room.status, 404, "a refused join creates no room");

    receiver.set(ALLOW);
    ok(&alice.call("chat:join", &json!("lobby")).await.unwrap());
    receiver.set(REFUSE);
    drop(alice);
    let _again = joined(&server, "alice", "lobby").await;
    assert_eq!(receiver.posts().len(), 2, "a member comes back");

    // A private room answers as if there were none, without a question.
    let private = json!({ "kind": "private" });
    assert!(server.api("PUT", "/rooms/secret", &private).await.unwrap().status < 300);
    let bob = connect(&server, "bob").await.unwrap();
    let refused = bob.call("chat:join", &json!("secret")).await.unwrap();
    assert_eq!(error(&refused).0, "forbidden");
    assert_eq!(receiver.posts().len(), 2);
}

#[tokio::test]
async fn a_connection_needs_the_consent_of_the_hook() {
    let receiver = Receiver::start(ALLOW).await;
    let server = start(&[hook(&receiver, "connect", "")]).await;
    let _alice = connect(&server, "alice").await.unwrap();
    let asked = receiver.posts()[0].body.clone();
    assert_eq!(
        (&asked["event"], &asked["user"]),
        (&json!("connect"), &json!("alice"))
    );
    assert_eq!(asked["claims"]["sub"], "alice");
    assert!(asked["claims"]["exp"].is_number() && asked.get("room").is_none());
    receiver.set(REFUSE);
    let Err(Error::ConnectRefused(error)) = connect(&server, "bob").await else {
        panic!("bob must be refused");
    };
    assert_eq!(error["message"], "be kind");
    assert_eq!(
        (&error["data"]["code"], &error["data"]["retryable"]),
        (&json!("refused"), &json!(false))
    );
    let forged = json!({ "token": token::for_user("another secret, also of thirty-two bytes", "eve") });
    assert!(SioClient::connect(server.addr(), "/", &forged).await.is_err());
    assert_eq!(receiver.posts().len(), 2, "an invalid token is not asked about");
}

#[tokio::test]
async fn operators_see_the_state_of_each_hook() {
    let receiver = Receiver::start(ALLOW).await;
    let more = r#", name = "texts", rooms = ["pub-*"], on_failure = "refuse", open_after = 1, retries = 0"#;
    let server = start(&[hook(&receiver, "message.send", more)]).await;
    let states = async || {
        let answer = server.api("GET", "/hooks", &Value::Null).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let alice = joined(&server, "alice", "pub-1").await;
    let message = json!({ "room": "pub-1", "text": "hello" });
    ok(&send(&alice, &message).await);
    let all = states().await;
    let hook = &all["hooks"][0];
    assert_eq!(all["hooks"].as_array().unwrap().len(), 1, "{all}");
    assert_eq!(
        (&hook["name"], &hook["event"], &hook["rooms"], &hook["onFailure"]),
        (
            &json!("texts"),
            &json!("message.send"),
            &json!(["pub-*"]),
            &json!("refuse")
        )
    );
    assert_eq!(
        (&hook["node"], &hook["circuit"], &hook["answers"]["allow"]),
        (&json!("local"), &json!("closed"), &json!(1))
    );
    assert_eq!((hook.get("lastError"), &hook["inFlight"]), (None, &json!(0)));

    receiver.set(Mood::Answer(500));
    assert_eq!(error(&send(&alice, &message).await).0, "refused");
    let failed = &states().await["hooks"][0];
    assert_eq!(
        (&failed["circuit"], &failed["failures"]["status"]),
        (&json!("open"), &json!(1))
    );
    let last = &failed["lastError"];
    assert_eq!(
        (&last["cause"], &last["error"]),
        (&json!("status"), &json!("answered 500"))
    );
    assert!(last["at"].as_i64().unwrap() > 1_500_000_000_000, "{last}");
    let unknown = server.api("GET", "/hooks?node=none", &Value::Null).await.unwrap();
    assert_eq!(unknown.status, 404);
}
