//! Clients that stop reading: their cost, and their effect on others.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use roomful_socket::{Class, Event, Reason, WebSocketServer};
use roomful_testkit::{PATIENCE, SioClient, WsClient, ws::Frame};
use serde_json::{Value, json};

mod fixture;

use fixture::start;

const OUTBOX: u64 = 64 * 1024;
const HEALTHY: usize = 45;
const STOPPED: usize = 5;

/// Sums of the counters.
struct Counters {
    figures: Snapshotter,
    sums: HashMap<String, u64>,
}

impl Counters {
    fn look(&mut self) {
        for (key, _, _, value) in self.figures.snapshot().into_vec() {
            if let DebugValue::Counter(value) = value {
                let cause = key.key().labels().find(|label| label.key() == "cause");
                let cause = cause.map_or("", |label| label.value());
                *self
                    .sums
                    .entry(format!("{} {cause}", key.key().name()))
                    .or_default() += value;
            }
        }
    }

    fn get(&self, name: &str, cause: &str) -> u64 {
        self.sums
            .get(&format!("{name} {cause}"))
            .copied()
            .unwrap_or_default()
    }
}

async fn expect_frame(client: &mut WsClient, begin: &str) {
    let frame = client.recv_within(PATIENCE).await.unwrap();
    assert!(
        matches!(&frame, Frame::Text(text) if text.starts_with(begin)),
        "{frame:?}"
    );
}

#[tokio::test]
async fn stopped_readers_hold_a_bounded_outbox_and_harm_no_other_client() {
    let recorder = DebuggingRecorder::new();
    let mut counters = Counters {
        figures: recorder.snapshotter(),
        sums: HashMap::new(),
    };
    let recording = metrics::set_default_local_recorder(&recorder);
    let bound = usize::try_from(OUTBOX).unwrap();
    let (address, server) = start(
        |builder| builder.outbox(bound, 1024),
        |server| drop(server.of("/")),
    )
    .await;
    drop(recording);
    let root = server.of("/");
    let mut healthy = Vec::new();
    for _ in 0..HEALTHY {
        healthy.push(SioClient::connect(address, "/", &Value::Null).await.unwrap());
    }
    // These never read again.
    let mut stopped = Vec::new();
    for _ in 0..STOPPED {
        stopped.push(connect_narrow(address).await);
    }
    counters.look();
    let written_before = counters.get("roomful_bytes_out_total", "");

    let text = "x".repeat(4 * 1024);
    let (mut round, mut most) = (0, 0);
    while server.connections() > HEALTHY {
        round += 1;
        let news = root
            .prepare("news", &json!({ "round": round, "text": text }))
            .unwrap();
        for socket in root.sockets() {
            socket.send_prepared(&news, Class::Durable);
        }
        for client in &healthy {
            assert_eq!(client.next_event("news").await.unwrap()["round"], round);
        }
        counters.look();
        if counters.get("roomful_closed_total", "slow_consumer") == 0 {
            // The healthy clients have received everything, so all unwritten bytes wait for the stopped
            // ones.
            let sent = round * (HEALTHY + STOPPED) as u64 * news.len() as u64;
            let written = counters.get("roomful_bytes_out_total", "") - written_before;
            most = most.max(sent - written);
            assert!(
                sent - written <= STOPPED as u64 * OUTBOX,
                "{} bytes wait",
                sent - written
            );
        }
        assert!(round < 10_000, "the stopped readers are never closed");
    }
    assert!(most > OUTBOX, "hardly anything ever waited");
    assert_eq!(
        counters.get("roomful_closed_total", "slow_consumer"),
        STOPPED as u64
    );
}

/// A client with a small window in the namespace `/`. It reads only what its test asks for.
async fn connect_narrow(address: SocketAddr) -> WsClient {
    let path = "/socket.io/?EIO=4&transport=websocket";
    let mut client = WsClient::connect_narrow(address, path, &[]).await.unwrap();
    expect_frame(&mut client, "0").await;
    client.send_text("40").await.unwrap();
    expect_frame(&mut client, "40").await;
    client
}

/// Answers each `ask` with half an outbox.
fn answer_at_length(server: &WebSocketServer) {
    server.of("/").on("ask", |_, mut event: Event| async move {
        let answer = "x".repeat(usize::try_from(OUTBOX).unwrap() / 2 - 100);
        event.take_ack().unwrap().send(&answer).unwrap();
    });
}

#[tokio::test]
async fn answers_that_a_client_asked_for_at_once_do_not_overflow_its_outbox() {
    let bound = usize::try_from(OUTBOX).unwrap();
    let (address, _server) = start(|builder| builder.outbox(bound, 1024), answer_at_length).await;
    let mut client = connect_narrow(address).await;
    for id in 0..20 {
        client.send_text(&format!(r#"42{id}["ask"]"#)).await.unwrap();
    }
    for id in 0..20 {
        expect_frame(&mut client, &format!("43{id}[")).await;
    }
}

#[tokio::test]
async fn a_client_that_asks_and_does_not_read_is_a_slow_consumer() {
    let bound = usize::try_from(OUTBOX).unwrap();
    let (sender, mut reasons) = tokio::sync::mpsc::channel(1);
    let (address, _server) = start(
        |builder| {
            builder
                .outbox(bound, 1024)
                .ping_timeout(Duration::from_millis(200))
        },
        |server| {
            answer_at_length(server);
            server.of("/").on_disconnect(move |_, reason| {
                sender.try_send(reason).unwrap();
                std::future::ready(())
            });
        },
    )
    .await;
    let mut client = connect_narrow(address).await;
    for id in 0..20 {
        client.send_text(&format!(r#"42{id}["ask"]"#)).await.unwrap();
    }
    let reason = tokio::time::timeout(PATIENCE, reasons.recv()).await.unwrap();
    assert_eq!(reason, Some(Reason::SlowConsumer));
}
