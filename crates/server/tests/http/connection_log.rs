//! Tests of the log lines about connections.

use roomful_testkit::{ServerProcess, SioClient, polling::PollingSession, token};
use serde_json::{Value, json};

use crate::start;

fn auth(server: &ServerProcess, user: &str) -> Value {
    json!({ "token": token::for_user(server.secret(), user) })
}

/// The line with this message about this user.
fn line(log: &str, message: &str, user: &str) -> Value {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut found = lines.filter(|line| line["message"] == message && line["user"] == user);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("no {message:?} of {user} in\n{log}"));
    assert_eq!(found.next(), None, "one line of {user}");
    first
}

#[tokio::test]
async fn a_connection_has_one_line_at_its_start_and_one_at_its_end() {
    let mut server = start(&[]).await;
    let alice = SioClient::connect(server.addr(), "/", &auth(&server, "alice"))
        .await
        .unwrap();
    alice.next_event("session").await.unwrap();
    let id = alice.id().to_owned();
    let offset = alice.claim()["offset"].clone();
    let (bob, _) = PollingSession::connect(&[server.addr()], 1, &auth(&server, "bob"))
        .await
        .unwrap();
    server.wait_log("\"bob\"").await.unwrap();
    drop((alice, bob));
    server.wait_log("transport_close").await.unwrap();
    assert!(server.terminate().await.unwrap().success());
    let log = server.log();
    let opened = line(&log, "client connected", "alice");
    for (name, value) in [
        ("session", json!(id)),
        ("node", json!("local")),
        ("address", json!("127.0.0.1")),
        ("client", json!("stock")),
        ("transport", json!("websocket")),
        ("recovered", json!(false)),
    ] {
        assert_eq!(opened[name], value, "{name}: {opened}");
    }
    let closed = line(&log, "client disconnected", "alice");
    assert_eq!(
        (&closed["session"], &closed["cause"]),
        (&json!(id), &json!("transport_close"))
    );
    assert!(closed["duration_ms"].is_number(), "{closed}");
    assert_eq!(closed["offset"], offset, "{closed}");
    assert_eq!(closed.get("refused_recovery"), None, "{closed}");
    assert_eq!(line(&log, "client connected", "bob")["transport"], "polling");
}

#[tokio::test]
async fn a_refused_recovery_has_its_cause_in_both_lines() {
    let mut server = start(&[]).await;
    let mut claim = auth(&server, "alice");
    claim["pid"] = json!("A".repeat(20));
    claim["offset"] = json!("offset of another server");
    let alice = SioClient::connect(server.addr(), "/", &claim).await.unwrap();
    alice.next_event("session").await.unwrap();
    drop(alice);
    server.wait_log("transport_close").await.unwrap();
    assert!(server.terminate().await.unwrap().success());
    for message in ["client connected", "client disconnected"] {
        let line = line(&server.log(), message, "alice");
        assert_eq!(line["refused_recovery"], "foreign_offset", "{line}");
    }
}

#[tokio::test]
async fn refused_clients_are_logged_within_limits() {
    let server = start(&[("ROOMFUL_LIMITS", "off")]).await;
    for _ in 0..200 {
        let forged = json!({ "token": "forged" });
        SioClient::connect(server.addr(), "/", &forged).await.unwrap_err();
    }
    let log = server.wait_log("refused a client").await.unwrap();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("refused a client"))
        .collect();
    assert!(lines.len() < 190, "{} lines", lines.len());
    let first: Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(
        (&first["code"], &first["address"]),
        (&json!("unauthorized"), &json!("127.0.0.1"))
    );
}

#[tokio::test]
async fn connections_can_be_sampled_or_left_out() {
    let mut server = start(&[("ROOMFUL__LOG__CONNECTIONS", "0")]).await;
    let alice = SioClient::connect(server.addr(), "/", &auth(&server, "alice"))
        .await
        .unwrap();
    alice.next_event("session").await.unwrap();
    drop(alice);
    assert!(server.terminate().await.unwrap().success());
    assert!(!server.log().contains("client connected"), "{}", server.log());
}
