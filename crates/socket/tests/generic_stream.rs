//! Connections that are not bare TCP streams (TLS, in-memory pipes), which take the generic path.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

use axum::body::Body;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use roomful_socket::{Event, Socket, WebSocketServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower::ServiceExt;

const UPGRADE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: pipe\r\n\
    connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A client's text frame with a mask of zeros, so that the payload is readable.
fn frame(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Reads until `end` has arrived.
async fn read_to(client: &mut DuplexStream, end: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(end) {
        let mut byte = [0];
        assert_eq!(
            client.read(&mut byte).await.unwrap(),
            1,
            "closed after {}",
            String::from_utf8_lossy(&seen)
        );
        seen.push(byte[0]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[tokio::test]
async fn an_in_memory_pipe_carries_a_session() {
    let server = WebSocketServer::builder().build();
    server
        .of("/")
        .on("echo", |socket: Socket, event: Event| async move {
            socket.emit_payload("echo", &event.payload).unwrap();
        });
    // The pipe is smaller than the messages, so writes are partial.
    let (mut client, stream) = tokio::io::duplex(64);
    let router = server.router();
    tokio::spawn(async move {
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            router.clone().oneshot(request.map(Body::new))
        });
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await
            .unwrap();
    });

    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    let head = read_to(&mut client, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    read_to(&mut client, "\"maxPayload\":1000000}").await;
    client.write_all(&frame("40")).await.unwrap();
    read_to(&mut client, "}").await;
    let text = "x".repeat(100);
    for _ in 0..20 {
        client
            .write_all(&frame(&format!("42[\"echo\",\"{text}\"]")))
            .await
            .unwrap();
        read_to(&mut client, &format!("42[\"echo\",\"{text}\"]")).await;
    }
    client.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, [0x88, 0], "an empty closing frame, then the end");
    drop(client);
    server.close().await;
}
