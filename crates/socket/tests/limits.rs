//! Limits on clients that send too much or too slowly: unfinished bytes, refused packets, unsupported
//! parsers.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

mod fixture;

use std::{net::SocketAddr, time::Duration};

use fixture::{open_polling, post, start};
use roomful_socket::{Event, Reason, Refusal, Socket, WebSocketServer};
use roomful_testkit::{PATIENCE, SioClient, WsClient, http, http::HttpClient, ws::Frame};
use serde_json::{Value, json};

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

async fn opened(address: SocketAddr) -> WsClient {
    let mut client = WsClient::connect(address, WEBSOCKET, &[]).await.unwrap();
    assert!(matches!(
        client.recv_within(PATIENCE).await.unwrap(),
        Frame::Text(_)
    ));
    client
}

async fn joined(address: SocketAddr) -> WsClient {
    let mut client = opened(address).await;
    client.send_text("40").await.unwrap();
    assert!(matches!(
        client.recv_within(PATIENCE).await.unwrap(),
        Frame::Text(_)
    ));
    client
}

/// The start of a masked text frame that announces `length` bytes, with `sent` of them.
fn unfinished(length: u32, sent: usize) -> Vec<u8> {
    let mut frame = vec![0x81, 0xff, 0, 0, 0, 0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.resize(frame.len() + sent, b'4');
    frame
}

fn echo(server: &WebSocketServer) {
    server
        .of("/")
        .on("echo", |_: Socket, mut event: Event| async move {
            if let Some(ack) = event.take_ack() {
                ack.send_payload(&event.payload);
            }
        });
}

#[tokio::test]
async fn messages_are_small_until_the_client_is_in_a_namespace() {
    let (address, _server) = start(|builder| builder.max_early_payload(1024), echo).await;
    let mut early = opened(address).await;
    early.send_raw(&unfinished(70_000, 0)).await.unwrap();
    assert_eq!(early.recv_close(PATIENCE).await.unwrap(), Some(1009));
    let path = open_polling(address).await;
    assert_eq!(post(address, &path, &"4".repeat(1025)).await.status, 413);

    let client = SioClient::connect(address, "/", &Value::Null).await.unwrap();
    let large = json!("x".repeat(70_000));
    assert_eq!(client.call("echo", &large).await.unwrap(), large);
}

#[tokio::test]
async fn a_message_has_a_deadline() {
    let soon = Duration::from_millis(100);
    let (address, _server) = start(|builder| builder.message_timeout(soon), echo).await;
    let mut stalled = joined(address).await;
    stalled.send_raw(&unfinished(70_000, 100)).await.unwrap();
    assert_eq!(stalled.recv_within(PATIENCE).await.unwrap(), Frame::Eof);
}

#[tokio::test]
async fn too_many_unfinished_bytes_close_the_connections_outside_namespaces_first() {
    let limit = 100_000;
    let (address, server) = start(
        |builder| {
            builder
                .max_unfinished_bytes_per_ip(limit)
                .max_early_payload(limit)
        },
        echo,
    )
    .await;
    // The honest client holds the most.
    let mut honest = joined(address).await;
    honest.send_raw(&unfinished(70_000, 40_000)).await.unwrap();
    let mut attackers = Vec::new();
    for _ in 0..10 {
        let mut attacker = opened(address).await;
        attacker.send_raw(&unfinished(70_000, 16_000)).await.unwrap();
        attackers.push(attacker);
    }
    // The attackers' bytes exceed the limit, whatever the order in which they arrive.
    let mut closed = 0;
    while closed < 5 {
        closed = 0;
        for attacker in &mut attackers {
            let frame = attacker.recv_within(Duration::from_millis(10)).await;
            closed += usize::from(matches!(frame, Ok(Frame::Eof)));
        }
    }
    assert!(server.connections() >= 2, "those within the limit stay");
    honest.send_raw(&vec![b'4'; 30_000]).await.unwrap();
    // "444…" is an Engine.IO message whose Socket.IO type is CONNECT_ERROR: the complete message gets its
    // answer.
    assert_eq!(honest.recv_close(PATIENCE).await.unwrap(), Some(1002));
}

#[tokio::test]
async fn unfinished_posts_count_too() {
    let limit = 20_000;
    let (address, _server) = start(
        |builder| {
            builder
                .max_unfinished_bytes_per_ip(limit)
                .max_early_payload(1_000_000)
        },
        echo,
    )
    .await;
    let path = open_polling(address).await;
    let mut client = HttpClient::connect(address).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 50000\r\n\r\n");
    client.send_raw(head.as_bytes()).await.unwrap();
    client.send_raw(&vec![b'4'; 30_000]).await.unwrap();
    assert_eq!(client.answer().await.unwrap().status, 503);
    assert_eq!(
        http::get(address, &path).await.unwrap().status,
        400,
        "the session is over"
    );
}

#[tokio::test]
async fn refused_connects_close_the_connection() {
    let refuse = |server: &WebSocketServer| {
        server
            .of("/private")
            .use_middleware(|_: Socket| async { Err(Refusal::new("no")) });
    };
    let (address, _server) = start(|builder| builder.max_refused_connects(3), refuse).await;
    let mut client = opened(address).await;
    for packet in ["40/unknown,", "40/private,", "40/private,"] {
        client.send_text(packet).await.unwrap();
        let Frame::Text(answer) = client.recv_within(PATIENCE).await.unwrap() else {
            panic!("no answer")
        };
        assert!(answer.starts_with("44/"), "{answer}");
    }
    assert_eq!(client.recv_close(PATIENCE).await.unwrap(), Some(1008));
}

#[tokio::test]
async fn refused_events_close_the_connection_by_number_and_by_bytes() {
    let refuse = |server: &WebSocketServer| {
        server.of("/").on_any(|socket: Socket, event: Event| async move {
            socket.count_refused(event.size());
        });
    };
    let (address, _server) = start(
        |builder| builder.max_refused_events(3).max_refused_bytes(1000),
        refuse,
    )
    .await;
    let mut many = joined(address).await;
    for _ in 0..4 {
        many.send_text("42[\"x\"]").await.unwrap();
    }
    assert_eq!(many.recv_close(PATIENCE).await.unwrap(), Some(1008));
    let mut large = joined(address).await;
    large
        .send_text(&format!("42[\"x\",\"{}\"]", "y".repeat(1000)))
        .await
        .unwrap();
    assert_eq!(large.recv_close(PATIENCE).await.unwrap(), Some(1008));
}

#[tokio::test]
async fn packets_without_an_event_close_the_connection_by_number() {
    let (address, _server) = start(|builder| builder.max_refused_events(3), echo).await;
    let masked = |opcode: u8| [0x80 | opcode, 0x80, 0, 0, 0, 0];
    let mut pinging = joined(address).await;
    let mut answering = joined(address).await;
    let mut packets = [
        joined(address).await,
        joined(address).await,
        joined(address).await,
    ];
    for _ in 0..4 {
        pinging.send_raw(&masked(9)).await.unwrap();
        answering.send_raw(&masked(10)).await.unwrap();
        for (client, packet) in packets.iter_mut().zip(["3", "6", "437[]"]) {
            client.send_text(packet).await.unwrap();
        }
    }
    for client in packets.iter_mut().chain([&mut pinging, &mut answering]) {
        assert_eq!(client.recv_close(PATIENCE).await.unwrap(), Some(1008));
    }
}

#[tokio::test]
async fn a_client_with_the_msgpack_parser_gets_a_connect_error_in_its_encoding() {
    let (address, server) = start(|builder| builder, echo).await;
    let connect = b"\x83\xa4type\x00\xa4data\xc0\xa3nsp\xa1/";
    let mut client = opened(address).await;
    client.send_binary(connect).await.unwrap();
    let Frame::Binary(refusal) = client.recv_within(PATIENCE).await.unwrap() else {
        panic!("no binary answer")
    };
    assert!(
        refusal.starts_with(b"\x83\xa4type\x04\xa3nsp\xa1/"),
        "{refusal:?}"
    );
    assert_eq!(client.recv_close(PATIENCE).await.unwrap(), Some(1003));
    assert!(server.of("/").is_empty());
    assert!(!Reason::UnsupportedParser.is_temporary());
}
