//! Tests of the accept loop: deadlines and limits of connections.

#![allow(clippy::unwrap_used)] // a failure in a helper fails the test

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Path,
    routing::{get, post},
};
use bytes::Bytes;
use parking_lot::Mutex;
use roomful_socket::{HttpLimits, WebSocketServer, serve};
use roomful_testkit::{
    PATIENCE,
    http::{self, HttpClient},
    session::Session,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const UNKNOWN: &str = "/socket.io/?EIO=4&transport=polling&sid=unknown";

async fn start(limits: HttpLimits) -> SocketAddr {
    let server = WebSocketServer::builder().build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, server.router(), limits, std::future::pending()));
    address
}

fn limits(header_ms: u64, keep_alive_ms: u64) -> HttpLimits {
    let mut limits = HttpLimits::default();
    limits.header_timeout = Duration::from_millis(header_ms);
    limits.keep_alive = Duration::from_millis(keep_alive_ms);
    limits
}

/// Connects, sends nothing and waits until the server closes the connection.
async fn closed_while_silent(address: SocketAddr) {
    let mut bare = TcpStream::connect(address).await.unwrap();
    assert!(matches!(bare.read(&mut [0]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn an_idle_connection_outlives_the_deadline_of_a_head() {
    let address = start(limits(50, 3_600_000)).await;
    let mut kept = HttpClient::connect(address).await.unwrap();
    for _ in 0..3 {
        assert_eq!(kept.request("GET", UNKNOWN, &[], b"").await.unwrap().status, 400);
        // Meanwhile the server closes connections that send nothing.
        closed_while_silent(address).await;
        closed_while_silent(address).await;
    }
    // A head that has started has its own deadline.
    kept.send_raw(b"GET /socket.io/ HT").await.unwrap();
    assert!(kept.answer().await.is_err());
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_keep_alive_time() {
    let address = start(limits(10, 50)).await;
    let mut kept = HttpClient::connect(address).await.unwrap();
    assert_eq!(kept.request("GET", UNKNOWN, &[], b"").await.unwrap().status, 400);
    assert!(kept.answer().await.is_err());
}

#[tokio::test]
async fn upgraded_connections_count_too_and_make_room_when_they_end() {
    let one = {
        let mut limits = HttpLimits::default();
        limits.connections.per_address = Some(1);
        limits
    };
    let address = start(one).await;
    let mut first = HttpClient::connect(address).await.unwrap();
    assert_eq!(first.request("GET", UNKNOWN, &[], b"").await.unwrap().status, 400);
    assert!(http::get(address, UNKNOWN).await.is_err(), "the limit is reached");
    drop(first);
    let (websocket, _) = loop {
        // The server notices the end of the first connection after a moment.
        if let Ok(session) = Session::open(address).await {
            break session;
        }
    };
    for _ in 0..3 {
        assert!(
            http::get(address, UNKNOWN).await.is_err(),
            "a WebSocket counts too"
        );
    }
    drop(websocket);
    while http::get(address, UNKNOWN).await.is_err() {}
}

/// A server with its only connection, so others come from the reserve.
async fn start_full(reserve: usize) -> (SocketAddr, HttpClient) {
    let full = {
        let mut limits = limits(3_600_000, 3_600_000);
        limits.connections.total = Some(1);
        limits.connections.reserve = reserve;
        limits.reserve_router = Router::new().route("/health", get(async || "well"));
        limits
    };
    let address = start(full).await;
    let mut first = HttpClient::connect(address).await.unwrap();
    assert_eq!(first.request("GET", UNKNOWN, &[], b"").await.unwrap().status, 400);
    (address, first)
}

#[tokio::test]
async fn health_checks_use_the_reserve_when_the_total_is_reached() {
    let (address, _first) = start_full(1).await;
    for _ in 0..3 {
        // Each connection of the reserve ends after its response.
        assert_eq!(until_answered(address, "/health").await, 200);
        assert_eq!(until_answered(address, UNKNOWN).await, 404);
    }
}

#[tokio::test]
async fn silent_connections_do_not_keep_health_checks_out_of_the_reserve() {
    let (address, _first) = start_full(2).await;
    let mut silent = Vec::new();
    for start in [&b""[..], b"GET /hea", b"GET /health HTTP/1.1\r\n", b""] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(start).await.unwrap();
        silent.push(stream);
    }
    for _ in 0..3 {
        assert_eq!(http::get(address, "/health").await.unwrap().status, 200);
    }
    // The later ones took the places of the first two.
    for mut stream in silent.into_iter().take(2) {
        let closed = timeout(PATIENCE, stream.read(&mut [0])).await.unwrap();
        assert!(matches!(closed, Ok(0) | Err(_)));
    }
}

/// Retries until a connection is admitted, since the server notices the end of an earlier one after a moment.
async fn until_answered(address: SocketAddr, path: &str) -> u16 {
    loop {
        if let Ok(answer) = http::get(address, path).await {
            return answer.status;
        }
    }
}

#[tokio::test]
async fn a_slow_reader_is_closed() {
    let impatient = {
        let mut limits = HttpLimits::default();
        limits.transfer_timeout = Duration::from_millis(100);
        limits
    };
    let (closed, on_close) = std::sync::mpsc::sync_channel(1);
    let large = Router::new().route(
        "/",
        get(async move || Body::from(Bytes::from_owner(Large(vec![0; LARGE], closed.clone())))),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, large, impatient, std::future::pending()));
    let mut reader = TcpStream::connect(address).await.unwrap();
    reader
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    // The server drops the body when it closes the connection. Reading earlier would let the response go on.
    tokio::task::spawn_blocking(move || on_close.recv_timeout(PATIENCE))
        .await
        .unwrap()
        .unwrap();
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest).await;
    assert!(rest.len() < LARGE, "the whole response arrived");
}

/// More bytes than the buffers of a connection hold.
const LARGE: usize = 64 << 20;

/// A response body that reports when it is dropped.
struct Large(Vec<u8>, std::sync::mpsc::SyncSender<()>);

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        let _ = self.1.try_send(());
    }
}

#[tokio::test]
async fn a_slow_request_body_fails() {
    let impatient = {
        let mut limits = HttpLimits::default();
        limits.transfer_timeout = Duration::from_millis(100);
        limits
    };
    let echo = Router::new().route(
        "/",
        post(async |body: Body| match axum::body::to_bytes(body, 100).await {
            Ok(_) => "whole",
            Err(_) => "too slow",
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, echo, impatient, std::future::pending()));
    let mut sender = HttpClient::connect(address).await.unwrap();
    sender
        .send_raw(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        .await
        .unwrap();
    assert_eq!(sender.answer().await.unwrap().text(), "too slow");
}

#[tokio::test]
async fn a_slow_reader_does_not_delay_the_shutdown() {
    let large = Router::new().route("/", get(async || vec![0_u8; LARGE]));
    let mut limits = HttpLimits::default();
    limits.shutdown_timeout = Duration::from_millis(100);
    limits.transfer_timeout = Duration::from_hours(1);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, large, limits, async {
        let _ = stopped.await;
    }));
    let mut reader = TcpStream::connect(address).await.unwrap();
    reader
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    reader.read_exact(&mut [0; 9]).await.unwrap();
    drop(stop);
    timeout(PATIENCE, serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_needs_exactly_one_host() {
    let address = start(HttpLimits::default()).await;
    for (head, status) in [
        ("HTTP/1.1\r\n", 400),
        ("HTTP/1.1\r\nhost: a\r\nhost: a\r\n", 400),
        ("HTTP/1.0\r\nhost: a\r\nhost: b\r\n", 400),
        ("HTTP/1.1\r\nhost: a\r\n", 404),
        ("HTTP/1.0\r\n", 404),
    ] {
        let mut client = HttpClient::connect(address).await.unwrap();
        client
            .send_raw(format!("GET /none {head}\r\n").as_bytes())
            .await
            .unwrap();
        assert_eq!(client.answer().await.unwrap().status, status, "{head:?}");
    }
}

#[tokio::test]
async fn requests_that_one_client_writes_at_once_take_turns_with_those_of_others() {
    const MANY: usize = 50;
    let order = Arc::new(Mutex::new(Vec::new()));
    let router = {
        let order = Arc::clone(&order);
        Router::new().route(
            "/{client}",
            get(async move |Path(client): Path<String>| order.lock().push(client)),
        )
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(
        listener,
        router,
        HttpLimits::default(),
        std::future::pending(),
    ));
    let mut clients = Vec::new();
    for name in ["greedy", "modest"] {
        let mut client = HttpClient::connect(address).await.unwrap();
        assert_eq!(
            client
                .request("GET", &format!("/{name}"), &[], b"")
                .await
                .unwrap()
                .status,
            200
        );
        clients.push(client);
    }
    order.lock().clear();
    // The server's tasks run on this thread, so they find both clients' requests.
    let request = "GET /greedy HTTP/1.1\r\nHost: localhost\r\n\r\n";
    clients[0]
        .send_raw(request.repeat(MANY).as_bytes())
        .await
        .unwrap();
    clients[1].send("GET", "/modest", &[], b"").await.unwrap();
    assert_eq!(clients[1].answer().await.unwrap().status, 200);
    for _ in 0..MANY {
        assert_eq!(clients[0].answer().await.unwrap().status, 200);
    }
    let order = order.lock();
    let turn = order.iter().position(|client| client == "modest").unwrap();
    assert!(turn <= 2, "{turn} requests of the other client came first");
}
