//! Tests of `Host`, `Origin` and the headers of proxies.

use roomful_testkit::http::HttpClient;

use crate::{metric, request, start};

const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=polling";

/// The status of a raw request, so that a test controls every header.
async fn status(server: &roomful_testkit::ServerProcess, head: &str) -> u16 {
    let mut client = HttpClient::connect(server.addr()).await.unwrap();
    let request = format!("{head}\r\nconnection: close\r\n\r\n");
    client.send_raw(request.as_bytes()).await.unwrap();
    client.answer().await.unwrap().status
}

#[tokio::test]
async fn a_missing_or_repeated_host_is_refused() {
    let server = start(&[]).await;
    assert_eq!(status(&server, "GET /livez HTTP/1.1").await, 400);
    assert_eq!(
        status(&server, "GET /livez HTTP/1.1\r\nhost: a\r\nhost: b").await,
        400
    );
    assert_eq!(status(&server, "GET /livez HTTP/1.1\r\nhost: a").await, 200);
}

#[tokio::test]
async fn dev_mode_answers_only_to_names_of_the_local_machine() {
    let dev = start(&[("ROOMFUL__DEV__ENABLED", "on")]).await;
    for path in ["/demo/config", "/", HANDSHAKE] {
        let rebound = format!("GET {path} HTTP/1.1\r\nhost: rebound.example");
        assert_eq!(status(&dev, &rebound).await, 403, "{path}");
        let local = format!("GET {path} HTTP/1.1\r\nhost: localhost:3000");
        assert_eq!(status(&dev, &local).await, 200, "{path}");
    }
    let probe = "GET /readyz HTTP/1.1\r\nhost: pod.example";
    assert_eq!(status(&dev, probe).await, 200);
    let remote = start(&[
        ("ROOMFUL__DEV__ENABLED", "on"),
        ("ROOMFUL__DEV__ALLOW_REMOTE", "on"),
    ])
    .await;
    let named = "GET /demo/config HTTP/1.1\r\nhost: chat.example";
    assert_eq!(status(&remote, named).await, 200);
}

#[tokio::test]
async fn every_response_forbids_content_sniffing() {
    let server = start(&[]).await;
    for path in [
        "/",
        "/livez",
        "/metrics",
        "/api/openapi.json",
        "/api/v1/stats",
        "/none",
        HANDSHAKE,
    ] {
        let answer = request(&server, "GET", path, &[]).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    let page = request(&server, "GET", "/", &[]).await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(!policy.contains("ws: wss:"), "{policy}");
}

#[tokio::test]
async fn origins_are_compared_as_urls_and_refusals_are_logged() {
    let server = start(&[(
        "ROOMFUL__HTTP__ORIGINS",
        "https://app.example, capacitor://localhost, null",
    )])
    .await;
    let with =
        |origin: &str, host: &str| format!("GET {HANDSHAKE} HTTP/1.1\r\nhost: {host}\r\norigin: {origin}");
    for (origin, host) in [
        ("https://app.example:443", "api.example"),
        ("https://APP.example", "api.example"),
        ("capacitor://localhost", "api.example"),
        ("null", "api.example"),
        ("https://chat.example", "chat.example:443"),
    ] {
        assert_eq!(status(&server, &with(origin, host)).await, 200, "{origin} {host}");
    }
    assert_eq!(
        status(&server, &with("https://evil.example", "api.example")).await,
        403
    );
    assert!(metric(&server, "roomful_origins_refused_total").await >= 1.0);
    server.wait_log("refused the origin of a web page").await.unwrap();
    assert!(server.log().contains("evil.example"), "{}", server.log());
}

#[tokio::test]
async fn only_a_trusted_proxy_names_the_host_of_the_client() {
    let forwarded = format!(
        "GET {HANDSHAKE} HTTP/1.1\r\nhost: internal:3000\r\norigin: https://chat.example\r\n\
         x-forwarded-for: 192.0.2.1\r\nx-forwarded-host: chat.example\r\nx-forwarded-proto: https"
    );
    let trusting = start(&[("ROOMFUL__HTTP__TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    assert_eq!(status(&trusting, &forwarded).await, 200);
    assert_eq!(
        status(&trusting, &forwarded.replace("proto: https", "proto: http")).await,
        403
    );
    let plain = start(&[]).await;
    assert_eq!(status(&plain, &forwarded).await, 403);
    plain.wait_log("ignoring X-Forwarded-For").await.unwrap();
    assert!(!trusting.log().contains("ignoring X-Forwarded-For"));
}
