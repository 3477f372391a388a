//! Drains: connections end in waves, each in a way after which stock clients reconnect.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

mod fixture;

use std::{sync::Arc, time::Duration};

use fixture::{open_polling, post, start};
use parking_lot::Mutex;
use roomful_socket::{Drain, Drained, Event, Reason, Socket, WebSocketServer};
use roomful_testkit::{
    PATIENCE,
    http::{self, HttpClient},
    session::End,
    sio::SioClient,
};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::Instant};

const OVER: Duration = Duration::from_millis(300);

fn quick() -> Drain {
    Drain::over(OVER)
        .every(Duration::from_millis(30))
        .timeout(PATIENCE)
}

async fn polling(address: std::net::SocketAddr) -> String {
    let path = open_polling(address).await;
    assert_eq!(post(address, &path, "40").await.text(), "ok");
    let answer = http::get(address, &path).await.unwrap().text();
    assert!(answer.starts_with("40{\"sid\":"), "{answer}");
    path
}

#[tokio::test]
async fn a_drain_ends_connections_in_waves_and_hints_each_client_first() {
    let (address, server) = start(|builder| builder, |server| drop(server.of("/"))).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(SioClient::connect(address, "/", &Value::Null).await.unwrap());
    }
    let waves = Arc::new(Mutex::new(Vec::new()));
    let seen = waves.clone();
    let started = Instant::now();
    let drained = server
        .drain(quick().before_wave(move |sockets| {
            seen.lock().push((started.elapsed(), sockets.len()));
            for socket in sockets {
                socket.emit("going", &json!({ "retryAfter": 1000 })).unwrap();
            }
        }))
        .await;
    assert_eq!(drained, Drained { ended: 20, left: 0 });
    let waves = waves.lock().clone();
    assert_eq!(waves.iter().map(|wave| wave.1).collect::<Vec<_>>(), [2; 10]);
    assert!(
        waves[9].0 >= OVER.saturating_sub(Duration::from_millis(30)),
        "{waves:?}"
    );
    for client in clients {
        assert_eq!(client.next_event("going").await.unwrap()["retryAfter"], 1000);
        // Neither a DISCONNECT packet nor a close frame: after these, some stock clients stay away.
        assert_eq!(client.wait_end(PATIENCE).await.unwrap(), End::Eof);
    }
}

#[tokio::test]
async fn a_drain_cuts_polls_after_the_last_frames() {
    let (address, server) = start(|builder| builder, |server| drop(server.of("/"))).await;
    let (parked, between) = (polling(address).await, polling(address).await);
    let mut poll = HttpClient::connect(address).await.unwrap();
    poll.send("GET", &parked, &[], b"").await.unwrap();
    let hint = |sockets: &[Socket]| {
        for socket in sockets {
            socket.emit("going", &1).unwrap();
        }
    };
    let draining = server.clone();
    let drain = tokio::spawn(async move { draining.drain(quick().before_wave(hint)).await });
    let last_frames = "42[\"going\",1]\u{1e}2";
    assert_eq!(poll.answer().await.unwrap().text(), last_frames);
    assert_eq!(post(address, &parked, "3").await.text(), "ok");
    assert!(http::get(address, &parked).await.is_err(), "cut after the pong");
    // The other client polls after its wave.
    while server.connections() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(http::get(address, &between).await.unwrap().text(), last_frames);
    // Its next poll waits for the pong.
    let mut poll = HttpClient::connect(address).await.unwrap();
    poll.send("GET", &between, &[], b"").await.unwrap();
    assert_eq!(post(address, &between, "3").await.text(), "ok");
    assert!(poll.answer().await.is_err());
    assert_eq!(drain.await.unwrap(), Drained { ended: 2, left: 0 });
}

#[tokio::test]
async fn a_drain_does_not_wait_for_sessions_that_ended_before() {
    let (address, server) = start(
        |builder| builder.linger(Duration::from_millis(50)),
        |server| drop(server.of("/")),
    )
    .await;
    polling(address).await;
    // Without the drain it would wait for a last poll as long as for a pong.
    server.of("/").sockets()[0].close(Reason::ForcedClose);
    let drain = quick().timeout(Duration::from_secs(5));
    assert_eq!(server.drain(drain).await, Drained { ended: 0, left: 0 });
}

#[tokio::test]
async fn a_draining_server_refuses_new_clients_and_serves_the_others() {
    let echo = |server: &WebSocketServer| {
        server
            .of("/")
            .on("echo", |socket: Socket, event: Event| async move {
                socket.emit_payload("echo", &event.payload).unwrap();
            });
    };
    let (address, server) = start(|builder| builder, echo).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(SioClient::connect(address, "/", &Value::Null).await.unwrap());
    }
    let draining = server.clone();
    // One wave now, the other in half a minute.
    let waves = Drain::over(Duration::from_mins(1)).every(Duration::from_secs(30));
    let drain = tokio::spawn(async move { draining.drain(waves).await });
    while server.connections() > 1 {
        tokio::task::yield_now().await;
    }
    let error = SioClient::connect(address, "/", &Value::Null).await.unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    let inside = *server.of("/").sockets()[0].id();
    let client = clients
        .iter()
        .find(|client| client.id() == inside.as_str())
        .unwrap();
    client.emit("echo", &json!(1)).await.unwrap();
    assert_eq!(client.next_event("echo").await.unwrap(), json!(1));
    drain.abort();
    server.close().await;
}

#[tokio::test]
async fn a_drain_counts_stuck_handlers_and_does_not_wait_for_them() {
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let (address, server) = start(
        |builder| builder,
        |server| {
            server.of("/").on("stuck", move |socket: Socket, _: Event| {
                let gate = held.clone();
                async move {
                    socket.emit("started", &1).unwrap();
                    let _ = gate.acquire().await.unwrap();
                }
            });
        },
    )
    .await;
    let client = SioClient::connect(address, "/", &Value::Null).await.unwrap();
    client.emit("stuck", &json!(1)).await.unwrap();
    client.next_event("started").await.unwrap();
    let drained = server.drain(quick().timeout(Duration::from_millis(50))).await;
    assert_eq!(drained, Drained { ended: 1, left: 1 });
    gate.add_permits(1);
    server.close().await;
}

#[tokio::test]
async fn a_drain_of_an_empty_server_returns_at_once() {
    let (_, server) = start(|builder| builder, |_| {}).await;
    let started = Instant::now();
    let drained = server.drain(Drain::over(Duration::from_mins(1))).await;
    assert_eq!(drained, Drained { ended: 0, left: 0 });
    assert!(started.elapsed() < Duration::from_secs(10));
}
