//! The accept loop: who may wait, and how long.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

use std::{net::SocketAddr, time::Duration};

use roomful_socket::{HttpLimits, WebSocketServer, serve};
use roomful_testkit::http::{self, HttpClient};
use tokio::{io::AsyncReadExt, net::TcpStream};

const UNKNOWN: &str = "/socket.io/?EIO=4&transport=polling&sid=unknown";

async fn start(limits: HttpLimits) -> SocketAddr {
    let server = WebSocketServer::builder().build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, server.router(), limits, std::future::pending()));
    address
}

fn limits(header_ms: u64, keep_alive_ms: u64) -> HttpLimits {
    HttpLimits {
        header_timeout: Duration::from_millis(header_ms),
        keep_alive: Duration::from_millis(keep_alive_ms),
        ..HttpLimits::default()
    }
}

/// Connects and says nothing until the server hangs up.
async fn hung_up_on(address: SocketAddr) {
    let mut bare = TcpStream::connect(address).await.unwrap();
    assert!(matches!(bare.read(&mut [0]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_connection_may_wait_for_its_next_request_longer_than_a_head_may_take() {
    let address = start(limits(50, 3_600_000)).await;
    let mut kept = HttpClient::connect(address).await.unwrap();
    for _ in 0..3 {
        assert_eq!(kept.request("GET", UNKNOWN, &[], b"").await.unwrap().status, 400);
        // Others come, say nothing, and are hung up on meanwhile.
        hung_up_on(address).await;
        hung_up_on(address).await;
    }
    // But a head that has begun must come to its end.
    kept.send_raw(b"GET /socket.io/ HT").await.unwrap();
    assert!(kept.answer().await.is_err());
}

#[tokio::test]
async fn a_connection_does_not_wait_for_ever() {
    let address = start(limits(10, 50)).await;
    let mut kept = HttpClient::connect(address).await.unwrap();
    assert_eq!(kept.request("GET", UNKNOWN, &[], b"").await.unwrap().status, 400);
    assert!(kept.answer().await.is_err());
}

#[tokio::test]
async fn connections_are_bounded_and_places_come_back() {
    let bound = HttpLimits {
        max_connections: Some(1),
        ..HttpLimits::default()
    };
    let address = start(bound).await;
    let mut first = HttpClient::connect(address).await.unwrap();
    assert_eq!(first.request("GET", UNKNOWN, &[], b"").await.unwrap().status, 400);
    assert!(http::get(address, UNKNOWN).await.is_err());
    drop(first);
    // Once the server has noticed.
    while http::get(address, UNKNOWN).await.is_err() {}
}
