//! Number of allocations for a delivery, an event and a heartbeat. The counts are exact on every machine,
//! so each change of one must be intended.
//!
//! The server has a runtime on the test's thread, and only that thread's allocations are counted. The
//! clients have another runtime.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

use std::{future::Future, time::Duration};

use allocation_counter::measure;
use roomful_socket::{Event, Socket, WebSocketServer};
use roomful_testkit::{PATIENCE, WsClient, ws::Frame};
use serde_json::json;
use tokio::{
    runtime::{self, Runtime},
    task::JoinHandle,
};

mod fixture;

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
/// Disables heartbeats while something else is counted.
const NEVER: Duration = Duration::from_hours(1);

struct Scene {
    server: WebSocketServer,
    here: Runtime,
    there: Runtime,
    crowd: Vec<WsClient>,
}

impl Scene {
    /// A server with this many clients, all in one room.
    fn with(clients: usize, ping_interval: Duration) -> Self {
        let here = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let there = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let start = fixture::start(
            |builder| builder.ping_interval(ping_interval).ping_timeout(NEVER),
            |server| {
                server.of("/").on_connect(|socket| async move {
                    socket.join("room");
                });
                server
                    .of("/")
                    .on("echo", |_: Socket, mut event: Event| async move {
                        event.take_ack().unwrap().send_payload(&event.payload);
                    });
            },
        );
        let (address, server) = here.block_on(start);
        let crowd = there.spawn(async move {
            let mut crowd = Vec::new();
            for _ in 0..clients {
                let mut client = WsClient::connect(address, WEBSOCKET, &[]).await.unwrap();
                client.send_text("40").await.unwrap();
                // The open packet, then the CONNECT answer.
                expect_frame(&mut client, "0").await;
                expect_frame(&mut client, "40").await;
                crowd.push(client);
            }
            crowd
        });
        let crowd = here.block_on(crowd).unwrap();
        Self {
            server,
            here,
            there,
            crowd,
        }
    }

    /// The same, with queues that have grown: while one of a pair fills, the worker drains the other.
    fn warm(clients: usize, ping_interval: Duration) -> Self {
        let mut scene = Self::with(clients, ping_interval);
        for _ in 0..2 * std::thread::available_parallelism().map_or(1, usize::from) {
            scene.fan_out(1);
        }
        scene
    }

    /// Counts the server's allocations while `act` runs and until each client has finished.
    fn count<F>(
        &mut self,
        act: impl FnOnce(&WebSocketServer),
        part: impl Fn(WsClient) -> F + Send + 'static,
    ) -> u64
    where
        F: Future<Output = WsClient> + Send,
    {
        let crowd = std::mem::take(&mut self.crowd);
        let all = async move {
            let mut done = Vec::with_capacity(crowd.len());
            for client in crowd {
                done.push(part(client).await);
            }
            done
        };
        let all: JoinHandle<Vec<WsClient>> = self.there.spawn(all);
        let counted = measure(|| {
            self.crowd = self.here.block_on(async {
                act(&self.server);
                all.await.unwrap()
            });
        });
        counted.count_total
    }

    /// Allocations for a broadcast of `messages` at once.
    fn fan_out(&mut self, messages: usize) -> u64 {
        let room = self.server.of("/").to("room");
        let send = move |_: &WebSocketServer| {
            for _ in 0..messages {
                room.emit("news", &json!({ "text": "Hello, everybody" })).unwrap();
            }
        };
        self.count(send, move |mut client| async move {
            for _ in 0..messages {
                expect_frame(&mut client, "42[\"news\"").await;
            }
            client
        })
    }

    /// Allocations for the answers to `events` of each client, one after the other.
    fn echo(&mut self, events: usize) -> u64 {
        self.count(
            |_| (),
            move |mut client| async move {
                for _ in 0..events {
                    client
                        .send_text(r#"427["echo",{"text":"Hello, you"}]"#)
                        .await
                        .unwrap();
                    expect_frame(&mut client, "437").await;
                }
                client
            },
        )
    }

    /// Allocations for a heartbeat of each client.
    fn beat(&mut self) -> u64 {
        self.count(
            |_| (),
            |mut client| async move {
                expect_frame(&mut client, "2").await;
                client.send_text("3").await.unwrap();
                client
            },
        )
    }
}

/// The next message that starts like this. Answers heartbeats on the way.
async fn expect_frame(client: &mut WsClient, begin: &str) {
    loop {
        let frame = client.recv_within(PATIENCE).await.unwrap();
        match &frame {
            Frame::Text(text) if text.starts_with(begin) => return,
            Frame::Text(text) if text == "2" => client.send_text("3").await.unwrap(),
            other => panic!("{other:?} instead of {begin}"),
        }
    }
}

#[test]
fn a_message_allocates_the_same_for_any_number_of_recipients() {
    // The encoded message and the look-up of the room.
    const MESSAGE: u64 = 6;
    for clients in [10, 110] {
        let mut scene = Scene::warm(clients, NEVER);
        assert_eq!(scene.fan_out(1), MESSAGE, "{clients} clients");
    }
}

#[test]
fn a_queued_frame_allocates_at_most_one_slot() {
    const BURST: usize = 8;
    let [few, many] = [10, 110].map(|clients| {
        let mut scene = Scene::warm(clients, NEVER);
        scene.fan_out(BURST)
    });
    assert_eq!(many - few, 100, "for 100 further clients");
}

#[test]
fn each_event_allocates_the_same() {
    // Namespace, name and arguments; the queue; the handler's future; the answer and its shared copies.
    const EVENT: u64 = 7;
    let mut scene = Scene::with(1, NEVER);
    scene.echo(1);
    for events in [1, 10, 100] {
        assert_eq!(scene.echo(events), EVENT * events as u64, "{events} events");
    }
}

#[test]
fn a_heartbeat_allocates_nothing() {
    let mut scene = Scene::warm(100, Duration::from_millis(20));
    // The runtime's own queue grows once for as many tasks. Frames that do not fit one write wake each of
    // them.
    scene.fan_out(100);
    scene.beat();
    for _ in 0..5 {
        assert_eq!(scene.beat(), 0);
    }
}
