//! Ends of a connection on the wire: temporary ends without a close frame or close packet, final ends with
//! one.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

mod fixture;

use std::{net::SocketAddr, time::Duration};

use fixture::{open_polling, post, start};
use roomful_socket::{Class, Reason, Sent, Socket, WebSocketServer};
use roomful_testkit::{
    PATIENCE, WsClient,
    http::{self, HttpClient},
    ws::Frame,
};

/// The session's own time-outs are out of the picture.
const LONG: Duration = Duration::from_mins(10);

async fn websocket(address: SocketAddr) -> WsClient {
    let path = "/socket.io/?EIO=4&transport=websocket";
    let mut client = WsClient::connect(address, path, &[]).await.unwrap();
    assert!(text(&mut client).await.starts_with('0'));
    client.send_text("40").await.unwrap();
    assert!(text(&mut client).await.starts_with("40"));
    client
}

async fn text(client: &mut WsClient) -> String {
    match client.recv_within(PATIENCE).await.unwrap() {
        Frame::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

fn only_socket(server: &WebSocketServer) -> Socket {
    server.of("/").sockets()[0].clone()
}

#[tokio::test]
async fn a_temporary_end_proves_delivery_and_sends_no_close_frame() {
    let (address, server) = start(|builder| builder.linger(LONG), |server| drop(server.of("/"))).await;
    for reason in [Reason::ForcedClose, Reason::ServerShuttingDown] {
        let mut client = websocket(address).await;
        let socket = only_socket(&server);
        socket.emit("last", &1).unwrap();
        let mark = socket.delivery_mark();
        socket.close(reason);
        assert_eq!(text(&mut client).await, "42[\"last\",1]");
        assert_eq!(text(&mut client).await, "2", "the final ping");
        assert!(!socket.is_delivered(mark));
        client.send_text("3").await.unwrap();
        assert_eq!(client.recv_within(PATIENCE).await.unwrap(), Frame::Eof);
        drop(client);
        socket.wait_closed().await;
        assert!(socket.is_delivered(mark));
    }
}

#[tokio::test]
async fn without_the_final_pong_nothing_is_proven() {
    let short = Duration::from_millis(50);
    let (address, server) = start(|builder| builder.linger(short), |server| drop(server.of("/"))).await;
    let mut client = websocket(address).await;
    let socket = only_socket(&server);
    let mark = socket.delivery_mark();
    socket.close(Reason::ForcedClose);
    assert_eq!(text(&mut client).await, "2");
    assert_eq!(client.recv_within(PATIENCE).await.unwrap(), Frame::Eof);
    socket.wait_closed().await;
    assert!(!socket.is_delivered(mark));
}

#[tokio::test]
async fn a_missing_pong_and_a_slow_consumer_end_without_a_close_frame() {
    let soon = Duration::from_millis(50);
    let (address, server) = start(
        |builder| {
            builder
                .ping_interval(soon)
                .ping_timeout(soon)
                .outbox(20_000, 1024)
        },
        |server| drop(server.of("/")),
    )
    .await;
    let mut silent = websocket(address).await;
    assert_eq!(text(&mut silent).await, "2");
    assert_eq!(silent.recv_within(PATIENCE).await.unwrap(), Frame::Eof);
    drop(server);

    let (address, server) = start(
        |builder| builder.outbox(20_000, 1024),
        |server| drop(server.of("/")),
    )
    .await;
    let mut slow = websocket(address).await;
    let socket = only_socket(&server);
    let event = server.of("/").prepare("x", &"y".repeat(10_000)).unwrap();
    while socket.send_prepared(&event, Class::Durable) != Sent::Closed {}
    while let Frame::Text(text) = slow.recv_within(PATIENCE).await.unwrap() {
        assert!(text.starts_with("42"), "no close frame");
    }
}

#[tokio::test]
async fn a_final_end_sends_a_disconnect_packet_and_a_close_frame() {
    let (address, server) = start(|builder| builder, |server| drop(server.of("/"))).await;
    let mut client = websocket(address).await;
    only_socket(&server).disconnect(true);
    assert_eq!(text(&mut client).await, "41");
    assert_eq!(client.recv_within(PATIENCE).await.unwrap(), Frame::Close(None));
}

#[tokio::test]
async fn a_temporary_end_cuts_the_poll_and_a_final_one_answers_it() {
    let (address, server) = start(|builder| builder, |server| drop(server.of("/"))).await;
    for temporary in [true, false] {
        let path = open_polling(address).await;
        assert_eq!(post(address, &path, "40").await.text(), "ok");
        assert!(http::get(address, &path).await.unwrap().text().starts_with("40"));
        let mut poll = HttpClient::connect(address).await.unwrap();
        poll.send("GET", &path, &[], b"").await.unwrap();
        let socket = only_socket(&server);
        let mark = socket.delivery_mark();
        if temporary {
            socket.close(Reason::ForcedClose);
            assert_eq!(poll.answer().await.unwrap().text(), "2");
            let mut poll = HttpClient::connect(address).await.unwrap();
            poll.send("GET", &path, &[], b"").await.unwrap();
            assert_eq!(post(address, &path, "3").await.text(), "ok");
            assert!(poll.answer().await.is_err(), "cut");
            assert!(socket.is_delivered(mark));
        } else {
            socket.disconnect(true);
            assert_eq!(poll.answer().await.unwrap().text(), "41");
            assert_eq!(http::get(address, &path).await.unwrap().text(), "1");
        }
        socket.wait_closed().await;
        let answer = http::get(address, &path).await.unwrap();
        assert_eq!((answer.status, answer.json()["code"].as_u64()), (400, Some(1)));
    }
}
