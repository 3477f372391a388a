//! Tests of the running binary over HTTP: probes, metrics, sign-in of dev mode, the page, and the shutdown.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

use std::{fs, os::unix::fs::PermissionsExt as _};

use roomful_testkit::{
    ServerProcess, SioClient,
    http::{self, HttpClient},
    polling::PollingSession,
    server::Config,
    token,
};
use serde_json::json;

async fn start(env: &[(&str, &str)]) -> ServerProcess {
    let config = Config::new(env!("CARGO_BIN_EXE_roomful")).envs(env);
    ServerProcess::start_with(config).await.unwrap()
}

#[tokio::test]
async fn probes_metrics_and_page_are_served() {
    let mut server = start(&[]).await;
    let alive = http::get(server.addr(), "/livez").await.unwrap();
    assert_eq!(
        (alive.status, alive.header("cache-control")),
        (200, Some("no-store"))
    );
    let ready = http::get(server.addr(), "/readyz").await.unwrap();
    assert_eq!(
        (
            ready.status,
            &ready.json()["status"],
            &ready.json()["checks"]["store"]
        ),
        (200, &"ready".into(), &"ok".into())
    );

    let metrics = http::get(server.addr(), "/metrics").await.unwrap();
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = metrics.text();
    for name in [
        "roomful_connections 0",
        "roomful_messages_in_total 0",
        "roomful_client_entries_checked_total 0",
        "roomful_client_law_violations_total{law=\"dense\"} 0",
        "roomful_closed_total{cause=\"slow_consumer\"} 0",
        "roomful_outbox_dropped_total{cause=\"volatile\"} 0",
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_start_time_seconds ",
        "roomful_ready 1",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(name)),
            "{name} is not in\n{text}"
        );
    }

    let page = http::get(server.addr(), "/").await.unwrap();
    assert_eq!(
        (page.status, page.header("cache-control")),
        (200, Some("no-cache"))
    );
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .contains("frame-ancestors 'none'")
    );
    let nothing = http::get(server.addr(), "/nothing").await.unwrap();
    assert_eq!(
        (nothing.status, &nothing.json()["error"]["code"]),
        (404, &"not_found".into())
    );
    assert!(server.terminate().await.unwrap().success());
}

#[tokio::test]
async fn sign_in_by_name_exists_only_in_dev_mode() {
    let plain = start(&[]).await;
    for path in ["/demo/config", "/demo/sign-in"] {
        assert_eq!(http::get(plain.addr(), path).await.unwrap().status, 404, "{path}");
    }
    let dev = start(&[("ROOMFUL__DEV__ENABLED", "on")]).await;
    assert_eq!(
        http::get(dev.addr(), "/demo/config").await.unwrap().json()["dev"],
        true
    );
    let mut client = HttpClient::connect(dev.addr()).await.unwrap();
    let json = [("content-type", "application/json")];
    let answer = client
        .request("POST", "/demo/sign-in", &json, b"{\"name\":\"Ann Lee\"}")
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.json()["userId"].as_str()),
        (200, Some("ann-lee"))
    );
}

#[tokio::test]
async fn stored_files_are_private_to_their_owner() {
    let server = start(&[]).await;
    let files: Vec<_> = fs::read_dir(server.data())
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    assert!(
        files.iter().any(|file| file.file_name() == "roomful.db"),
        "{files:?}"
    );
    for file in files {
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o077,
            0,
            "{file:?}"
        );
    }
}

#[tokio::test]
async fn an_address_in_use_is_reported_with_exit_code_1() {
    let server = start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_roomful"))
        .args(["--listen", &server.addr().to_string(), "--data"])
        .arg(folder.path())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("\"error\":\"can't listen on {}: ", server.addr())),
        "{said}"
    );
}

#[tokio::test]
async fn a_parked_poll_does_not_delay_the_shutdown() {
    let mut server = start(&[]).await;
    let open = http::get(server.addr(), "/socket.io/?EIO=4&transport=polling")
        .await
        .unwrap()
        .text();
    let packet: serde_json::Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    let path = format!(
        "/socket.io/?EIO=4&transport=polling&sid={}",
        packet["sid"].as_str().unwrap()
    );
    let mut poll = HttpClient::connect(server.addr()).await.unwrap();
    poll.send("GET", &path, &[], b"").await.unwrap();
    assert!(server.terminate().await.unwrap().success());
    assert!(server.log().contains("stopped"), "{}", server.log());
}

/// Even at level `trace`. A token signs its holder in, and a private session id lets its holder take over
/// the session.
#[tokio::test]
async fn tokens_and_private_ids_are_never_logged() {
    let mut server = start(&[("ROOMFUL_LOG", "trace")]).await;
    let (secret, addr) = (server.secret(), server.addr());
    let auth = |token: &str| json!({ "token": token });
    let (good, next) = (token::for_user(secret, "alice"), token::for_user(secret, "alice"));
    let ended = token::with_claims(secret, &json!({ "sub": "alice", "exp": token::now() - 3_600 }));
    let forged = token::for_user("another secret, of 32 bytes or more", "alice");

    let alice = SioClient::connect(addr, "/", &auth(&good)).await.unwrap();
    let pid = alice.welcome()["pid"].as_str().unwrap().to_owned();
    alice.next_event("session").await.unwrap();
    let claim = alice.claim();
    let refreshed = alice.call("token:refresh", &auth(&next)).await.unwrap();
    assert_eq!(refreshed["ok"], true, "{refreshed}");
    let room = json!({ "room": "lobby" });
    assert_eq!(alice.call("chat:join", &room).await.unwrap()["ok"], true);
    alice.cut().await;
    let mut back = auth(&good);
    back.as_object_mut()
        .unwrap()
        .extend(claim.as_object().unwrap().clone());
    let alice = SioClient::connect(addr, "/", &back).await.unwrap();
    for bad in [&ended, &forged] {
        assert!(SioClient::connect(addr, "/", &auth(bad)).await.is_err());
        assert_eq!(
            alice.call("token:refresh", &auth(bad)).await.unwrap()["ok"],
            false
        );
        PollingSession::connect(&[addr], 1, &auth(bad)).await.unwrap_err();
    }
    let (polling, _) = PollingSession::connect(&[addr], 1, &auth(&good)).await.unwrap();
    drop((alice, polling));
    assert!(server.terminate().await.unwrap().success());

    let log = server.log();
    assert!(log.contains("stopped"), "the log is incomplete:\n{log}");
    let words = [
        good,
        next,
        ended,
        forged,
        pid,
        secret.into(),
        server.api_key().into(),
    ];
    for word in words {
        // The signature alone identifies a token.
        let word = word.rsplit('.').next().unwrap();
        assert!(!log.contains(word), "{word} is in the log");
    }
}

#[tokio::test]
async fn acks_and_deliveries_are_timed() {
    let server = start(&[]).await;
    let auth = json!({ "token": token::for_user(server.secret(), "alice") });
    let alice = SioClient::connect(server.addr(), "/", &auth).await.unwrap();
    let message = json!({ "room": "lobby", "text": "hello" });
    alice.call("chat:join", &json!("lobby")).await.unwrap();
    alice.call("chat:send_message", &message).await.unwrap();
    alice.next_event("chat:receive_message").await.unwrap();
    let metrics = http::get(server.addr(), "/metrics").await.unwrap().text();
    for series in ["roomful_ack_seconds_count 2", "roomful_delivery_seconds_count 1"] {
        assert!(
            metrics.lines().any(|line| line == series),
            "{series} is not in\n{metrics}"
        );
    }
}
