//! Tests of the log: a stalled reader, floods by strangers, and the fields of its lines.

use std::{path::Path, process::Stdio};

use roomful_testkit::{
    PATIENCE,
    http::{self, HttpClient},
};
use serde_json::Value;
use tokio::{process::Command, time::timeout};

use crate::{request, start};

const KEY: &str = "0123456789abcdef0123456789abcdef-api";

/// Waits for the file that names the server's address.
async fn address(port_file: &Path) -> std::net::SocketAddr {
    let written = async {
        loop {
            if let Ok(text) = std::fs::read_to_string(port_file) {
                return text.trim().parse().unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, written).await.unwrap()
}

#[tokio::test]
async fn a_stalled_log_reader_does_not_stop_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    let mut server = Command::new(env!("CARGO_BIN_EXE_roomful"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("data"))
        .env("ROOMFUL_PORT_FILE", &port_file)
        .env("ROOMFUL_API_KEY", KEY)
        .env("ROOMFUL__LOG__QUEUE", "100")
        // The test never reads the pipe, so it fills up.
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let address = address(&port_file).await;
    let bearer = format!("Bearer {KEY}");
    let mut client = HttpClient::connect(address).await.unwrap();
    // More lines than the pipe and the queue hold.
    for _ in 0..1_000 {
        let call = client
            .request("GET", "/api/v1/rooms", &[("authorization", bearer.as_str())], b"")
            .await
            .unwrap();
        assert_eq!(call.status, 200);
    }
    let metrics = http::get(address, "/metrics").await.unwrap().text();
    let dropped = metrics
        .lines()
        .find_map(|line| line.strip_prefix("roomful_log_dropped_lines_total "))
        .unwrap();
    assert!(dropped.parse::<u64>().unwrap() > 0, "{dropped} lines dropped");
    let pid = rustix::process::Pid::from_raw(i32::try_from(server.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = timeout(PATIENCE, server.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn strangers_write_few_and_short_lines() {
    let server = start(&[]).await;
    let path = format!("/api/v1/{}", "x".repeat(7_000));
    let mut client = HttpClient::connect(server.addr()).await.unwrap();
    for _ in 0..300 {
        let answer = client.request("GET", &path, &[], b"").await.unwrap();
        assert!(matches!(answer.status, 401 | 429));
    }
    let log = server.wait_log("API call").await.unwrap();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("API call")).collect();
    assert!(lines.len() < 200, "{} lines", lines.len());
    assert!(lines.iter().all(|line| line.len() < 700), "{}", lines[0]);
}

#[tokio::test]
async fn a_call_is_logged_with_its_address_and_request_id() {
    let server = start(&[("ROOMFUL__HTTP__TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let bearer = format!("Bearer {}", server.api_key());
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-request-id", "call-1"),
        ("x-forwarded-for", "192.0.2.7"),
    ];
    let answer = request(&server, "GET", "/api/v1/stats", &headers).await;
    assert_eq!(answer.header("x-request-id"), Some("call-1"));
    let log = server.wait_log("call-1").await.unwrap();
    let line = log.lines().find(|line| line.contains("call-1")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let shown = ["message", "path", "address", "request_id"].map(|name| line[name].as_str().unwrap());
    assert_eq!(shown, ["API call", "/api/v1/stats", "192.0.2.7", "call-1"]);
    let other = request(&server, "GET", "/api/v1/stats", &headers[..1]).await;
    assert_eq!(other.header("x-request-id").unwrap().len(), 16);
}
