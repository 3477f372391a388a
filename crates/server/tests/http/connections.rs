//! Tests of limits on connections and of slow clients.

use roomful_testkit::{
    PATIENCE, SioClient,
    http::{self, HttpClient},
    token,
};
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};

use crate::{metric, start};

#[tokio::test]
async fn one_address_cannot_use_up_the_connections() {
    let server = start(&[("ROOMFUL__HTTP__CONNECTIONS_PER_IP", "20")]).await;
    let auth = json!({ "token": token::for_user(server.secret(), "alice") });
    let alice = SioClient::connect(server.addr(), "/", &auth).await.unwrap();
    // The kernel completes a connection before the server accepts and closes it.
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(TcpStream::connect(server.addr()).await.unwrap());
    }
    let refused = async {
        let mut byte = [0];
        for connection in idle.iter().skip(19) {
            connection.readable().await.unwrap();
            assert!(matches!(connection.try_read(&mut byte), Ok(0) | Err(_)));
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    let joined = alice.call("chat:join", &json!("lobby")).await.unwrap();
    assert_eq!(joined["ok"], true, "an open WebSocket is not affected");
    drop(idle);
    let health = async { while http::get(server.addr(), "/livez").await.is_err() {} };
    timeout(PATIENCE, health).await.unwrap();
    assert!(metric(&server, "roomful_tcp_connections_refused_total").await >= 21.0);
    server.wait_log("refused connections over a limit").await.unwrap();
}

#[tokio::test]
async fn a_full_server_still_answers_health_checks() {
    let server = start(&[("ROOMFUL__HTTP__CONNECTIONS", "10"), ("ROOMFUL_LIMITS", "off")]).await;
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut client = HttpClient::connect(server.addr()).await.unwrap();
        // An answer proves that the server has counted the connection.
        let page = client.request("GET", "/livez", &[], b"").await.unwrap();
        assert_eq!(page.status, 200);
        held.push(client);
    }
    // More connections that send nothing than the reserve has places.
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(server.addr()).await.unwrap());
    }
    assert_eq!(http::get(server.addr(), "/readyz").await.unwrap().status, 200);
    assert_eq!(http::get(server.addr(), "/").await.unwrap().status, 404);
}

#[tokio::test]
async fn the_listener_for_operators_is_separate() {
    // Port 0 takes a free one, which the log names.
    let server = start(&[("ROOMFUL__HTTP__OPS_LISTEN", "127.0.0.1:0")]).await;
    let log = server.wait_log("on their own address").await.unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("on their own address"))
        .unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let ops = line["address"].as_str().unwrap().parse().unwrap();
    // Connections that send nothing, more than the listener admits.
    let mut silent = Vec::new();
    for _ in 0..60 {
        silent.push(TcpStream::connect(ops).await.unwrap());
    }
    assert_eq!(http::get(ops, "/readyz").await.unwrap().status, 200);
    assert_eq!(http::get(ops, "/metrics").await.unwrap().status, 200);
    assert_eq!(http::get(ops, "/").await.unwrap().status, 404);
    assert_eq!(http::get(server.addr(), "/metrics").await.unwrap().status, 404);
    assert_eq!(http::get(server.addr(), "/livez").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_slow_request_body_gets_408() {
    let server = start(&[
        ("ROOMFUL__HTTP__TRANSFER_TIMEOUT", "100ms"),
        ("ROOMFUL__DEV__ENABLED", "on"),
    ])
    .await;
    let key = format!("authorization: Bearer {}", server.api_key());
    for (path, header) in [
        ("/api/v1/rooms/a/messages", key.as_str()),
        ("/demo/sign-in", "accept: */*"),
    ] {
        let mut client = HttpClient::connect(server.addr()).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\n{header}\r\ncontent-type: application/json\r\n\
             content-length: 100\r\n\r\n{{"
        );
        client.send_raw(head.as_bytes()).await.unwrap();
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.json()["error"]["code"], "invalid_request", "{path}");
        assert_eq!(answer.status, 408, "{path}: {}", answer.text());
    }
    assert!(metric(&server, "roomful_http_slow_transfers_total").await >= 2.0);
}
