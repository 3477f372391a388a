//! The shared flush workers: broadcasts are neither lost nor doubled nor reordered, and connections work
//! without the workers.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

use std::sync::mpsc;

use roomful_socket::{HttpLimits, WebSocketServer, serve};
use roomful_testkit::{PATIENCE, WsClient, ws::Frame};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};

mod fixture;

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const CLIENTS: usize = 8;

/// The next text message that is not a heartbeat.
async fn text(client: &mut WsClient) -> String {
    loop {
        match client.recv_within(PATIENCE).await.unwrap() {
            Frame::Text(text) => return text,
            Frame::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn connect(address: std::net::SocketAddr) -> WsClient {
    let mut client = WsClient::connect(address, WEBSOCKET, &[]).await.unwrap();
    client.send_text("40").await.unwrap();
    assert!(text(&mut client).await.starts_with('0'));
    assert!(text(&mut client).await.starts_with("40"));
    client
}

/// Several threads emit numbers while clients send pings, with occasional large texts that fill the
/// kernel's buffers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_emits_arrive_whole_and_in_order() {
    const EMITTERS: usize = 4;
    const EVENTS: u64 = 500;
    let (address, server) = fixture::start(
        |builder| builder.outbox(64 << 20, 100_000),
        |server| drop(server.of("/")),
    )
    .await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(connect(address).await);
    }
    let emitters = (0..EMITTERS).map(|emitter| {
        let root = server.of("/");
        tokio::spawn(async move {
            for number in 0..EVENTS {
                let padding = if number % 50 == 0 {
                    "x".repeat(64 << 10)
                } else {
                    String::new()
                };
                root.emit("n", &json!([emitter, number, padding])).unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    let emitters: Vec<_> = emitters.collect();
    let listeners = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let mut next = [0; EMITTERS];
            while next.iter().any(|next| *next < EVENTS) {
                let text = text(&mut client).await;
                let event: Value = serde_json::from_str(&text[2..]).unwrap();
                let emitter = usize::try_from(event[1][0].as_u64().unwrap()).unwrap();
                assert_eq!(event[1][1], next[emitter]);
                next[emitter] += 1;
                if next[emitter].is_multiple_of(7) {
                    client.send_raw(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
                }
            }
        })
    });
    let listeners: Vec<_> = listeners.collect();
    for task in emitters.into_iter().chain(listeners) {
        task.await.unwrap();
    }
}

/// Serves on `runtime` while it lives. Returns the address.
fn serve_in(runtime: &Runtime, server: &WebSocketServer) -> std::net::SocketAddr {
    let router = server.router();
    let (address_sender, address) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        address_sender.send(listener.local_addr().unwrap()).unwrap();
        serve(listener, router, HttpLimits::default(), std::future::pending()).await;
    });
    address.recv_timeout(PATIENCE).unwrap()
}

/// Several runtimes may serve one server. The flush workers run on the first.
#[test]
fn connections_survive_the_runtime_of_their_flush_worker() {
    let runtime = || {
        Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let [first, second, clients] = [runtime(), runtime(), runtime()];
    let server = WebSocketServer::builder().build();
    let root = server.of("/");
    let (early, late) = (serve_in(&first, &server), serve_in(&second, &server));
    // Enough sessions for every worker.
    let cores = std::thread::available_parallelism().unwrap().get();
    let mut staying = clients.block_on(async {
        for _ in 0..cores {
            connect(early).await;
        }
        let mut staying = Vec::new();
        for _ in 0..cores {
            staying.push(connect(late).await);
        }
        staying
    });
    let mut expect_frame = |what: &str| {
        clients.block_on(async {
            for client in &mut staying {
                assert_eq!(text(client).await, what);
            }
        });
    };
    root.emit("n", &0).unwrap();
    expect_frame("42[\"n\",0]");
    first.shutdown_timeout(PATIENCE);
    root.emit("n", &1).unwrap();
    expect_frame("42[\"n\",1]");
    // New sessions start workers again.
    clients.block_on(async {
        let mut newcomer = connect(late).await;
        root.emit("n", &2).unwrap();
        assert_eq!(text(&mut newcomer).await, "42[\"n\",2]");
    });
    expect_frame("42[\"n\",2]");
}
