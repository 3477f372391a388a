//! Endpoints that are dead, slow, hanging or malformed.

use roomful_testkit::{Error, PATIENCE, ServerProcess, ports::free_port};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{ALLOW, Mood, REPLACE, Receiver, SECRET, connect, error, hook, joined, metrics, ok, send, start};

/// One request for each question, within a short time, and a circuit that stays closed.
const IMPATIENT: &str = r#", timeout = "300ms", retries = 0, open_after = 1000"#;

fn message(room: &str, text: &str) -> Value {
    json!({ "room": room, "text": text })
}

async fn counts(server: &ServerProcess, name: &str, cause: &str) -> u64 {
    let series = format!(r#"roomful_hook_failures_total{{hook="{name}",cause="{cause}"}} "#);
    let metrics = metrics(server).await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
    value
        .unwrap_or_else(|| panic!("{series}\n{metrics}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn each_failure_follows_on_failure() {
    let receiver = Receiver::start(ALLOW).await;
    let with = |name: &str, on_failure: &str| {
        format!(r#"{IMPATIENT}, name = "{name}", on_failure = "{on_failure}", rooms = ["{name}"]"#)
    };
    let hooks = [
        hook(&receiver, "message.send", &with("strict", "refuse")),
        hook(&receiver, "message.send", &with("lax", "allow")),
    ];
    let server = start(&hooks).await;
    let strict = joined(&server, "alice", "strict").await;
    let lax = joined(&server, "bob", "lax").await;
    let table = [
        (Mood::Say("ok"), "invalid"),
        (Mood::Say(""), "invalid"),
        (Mood::Say("{}"), "invalid"),
        (Mood::Say(r#"{"action":"replace"}"#), "invalid"),
        (
            Mood::Say(r#"{"action":"replace","message":{"text":""}}"#),
            "invalid",
        ),
        (Mood::Flood, "too_large"),
        (Mood::Answer(302), "status"),
        (Mood::Answer(410), "status"),
        (Mood::Answer(500), "status"),
        (Mood::Die, "unreachable"),
        (Mood::Hang, "timeout"),
    ];
    for (mood, cause) in table {
        receiver.set(mood);
        let before = counts(&server, "strict", cause).await;
        let refused = send(&strict, &message("strict", "hi")).await;
        let (code, _, retryable) = error(&refused);
        assert_eq!((code, retryable), ("refused", true), "{mood:?}");
        assert_eq!(counts(&server, "strict", cause).await, before + 1, "{mood:?}");
        ok(&send(&lax, &message("lax", "hi")).await);
        assert_eq!(counts(&server, "lax", cause).await, before + 1, "{mood:?}");
    }
    receiver.set(ALLOW);
    ok(&send(&strict, &message("strict", "hi")).await);
    let log = server.wait_log("the hook answers again").await.unwrap();
    let lines = log.lines().filter(|line| line.contains("failed to ask a hook"));
    assert_eq!(lines.count(), 2, "one line for each hook\n{log}");
    assert!(
        !log.contains(&receiver.addr.to_string()) && !log.contains(SECRET),
        "{log}"
    );
}

#[tokio::test]
async fn a_closed_port_refuses_joins_and_connections() {
    let url = format!("http://127.0.0.1:{}/hook", free_port().unwrap());
    let hook = |event: &str| {
        let endpoint = format!(r#"event = "{event}", url = "{url}", secret = "{SECRET}""#);
        format!(r#"{{ {endpoint}, on_failure = "refuse", retries = 2 }}"#)
    };
    let server = start(&[hook("room.join")]).await;
    let alice = connect(&server, "alice").await.unwrap();
    let refused = alice.call("chat:join", &json!("lobby")).await.unwrap();
    let (code, _, retryable) = error(&refused);
    assert_eq!((code, retryable), ("refused", true));
    assert_eq!(
        counts(&server, "room.join", "unreachable").await,
        1,
        "retries do not count"
    );
    // The transport closes without a connect_error, so that stock clients try again.
    let server = start(&[hook("connect")]).await;
    let refused = connect(&server, "alice").await;
    assert!(
        !matches!(refused, Ok(_) | Err(Error::ConnectRefused(_))),
        "{refused:?}"
    );
    assert_eq!(counts(&server, "connect", "unreachable").await, 1);
}

#[tokio::test]
async fn the_circuit_opens_after_failures_and_one_probe_closes_it() {
    let receiver = Receiver::start(Mood::Answer(500)).await;
    let settings = r#", on_failure = "refuse", retries = 0, open_after = 2, open_for = "300ms""#;
    let server = start(&[hook(&receiver, "message.send", settings)]).await;
    let alice = joined(&server, "alice", "lobby").await;
    let open = |open: u8| format!("roomful_hook_circuit_open{{hook=\"message.send\"}} {open}\n");
    assert!(metrics(&server).await.contains(&open(0)));
    for _ in 0..2 {
        assert_eq!(error(&send(&alice, &message("lobby", "hi")).await).0, "refused");
    }
    assert!(metrics(&server).await.contains(&open(1)));
    receiver.set(ALLOW);
    let mut refused = 0;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while send(&alice, &message("lobby", "hi")).await["ok"] == false {
        refused += 1;
        assert!(tokio::time::Instant::now() < deadline, "the circuit stays open");
    }
    assert_eq!(counts(&server, "message.send", "circuit_open").await, refused);
    assert_eq!(receiver.posts().len(), 3, "nobody asks while it is open");
    assert!(metrics(&server).await.contains(&open(0)));
    ok(&send(&alice, &message("lobby", "hi")).await);
}

#[tokio::test]
async fn a_hook_that_never_answers_holds_only_its_sender() {
    let receiver = Receiver::start(Mood::HangOn("alice", r#"{"action":"allow"}"#)).await;
    let server = start(&[hook(
        &receiver,
        "message.send",
        r#", timeout = "15s", retries = 0"#,
    )])
    .await;
    let alice = joined(&server, "alice", "lobby").await;
    let bob = joined(&server, "bob", "lobby").await;
    let (one, two) = (message("lobby", "alice 1"), message("lobby", "alice 2"));
    let waits = async { tokio::join!(send(&alice, &one), send(&alice, &two)) };
    let others = async {
        receiver.wait("alice's message", |posts| !posts.is_empty()).await;
        for number in 0..20 {
            ok(&send(&bob, &message("lobby", &format!("bob {number}"))).await);
        }
        ok(&bob.call("chat:get_history", &json!("lobby")).await.unwrap());
        receiver.set(REPLACE);
    };
    tokio::select! {
        _ = waits => panic!("alice's message was stored without an answer"),
        () = others => {}
    }
    let of_alice = receiver
        .posts()
        .into_iter()
        .filter(|post| post.body["user"] == "alice");
    assert_eq!(of_alice.count(), 1, "her second message waits for the first");
}

#[tokio::test]
async fn requests_in_flight_are_bounded() {
    let receiver = Receiver::start(Mood::Hang).await;
    let settings = r#", timeout = "4s", retries = 0, concurrency = 1, on_failure = "refuse""#;
    let server = start(&[hook(&receiver, "message.send", settings)]).await;
    let mut clients = Vec::new();
    for user in ["alice", "bob", "carol"] {
        clients.push(joined(&server, user, "lobby").await);
    }
    let text = message("lobby", "hi");
    let (first, second, third) = tokio::join!(
        send(&clients[0], &text),
        send(&clients[1], &text),
        send(&clients[2], &text)
    );
    let codes = [&first, &second, &third].map(|ack| error(ack).0);
    // One request hangs, and the others wait in vain for their turn.
    assert_eq!(
        codes.iter().filter(|code| **code == "unavailable").count(),
        2,
        "{codes:?}"
    );
    assert!(codes.contains(&"refused"), "{codes:?}");
    assert_eq!(counts(&server, "message.send", "busy").await, 2);
    assert_eq!(counts(&server, "message.send", "timeout").await, 1);
    let idle = "roomful_hook_in_flight{hook=\"message.send\"} 0\n";
    assert!(metrics(&server).await.contains(idle));
}

#[tokio::test]
async fn a_server_stops_while_a_hook_hangs() {
    let receiver = Receiver::start(Mood::Hang).await;
    let mut server = start(&[hook(
        &receiver,
        "message.send",
        r#", timeout = "1s", retries = 0"#,
    )])
    .await;
    let alice = joined(&server, "alice", "lobby").await;
    let text = message("lobby", "hi");
    let asked = receiver.wait("the question", |posts| !posts.is_empty());
    tokio::select! {
        _ = alice.call("chat:send_message", &text) => {}
        _ = asked => {}
    }
    assert!(
        timeout(PATIENCE, server.terminate())
            .await
            .unwrap()
            .unwrap()
            .success()
    );
}
