//! Connection state recovery from the server's memory.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

mod fixture;

use std::net::SocketAddr;

use fixture::start;
use roomful_socket::{Event, Namespace, RecoveryLimits, Socket, WebSocketServer};
use roomful_testkit::{PATIENCE, sio::SioClient};
use serde_json::{Value, json};
use tokio::sync::mpsc;

struct Chat {
    address: SocketAddr,
    root: Namespace,
    left: mpsc::Receiver<()>,
    _server: WebSocketServer,
}

async fn chat(limits: RecoveryLimits) -> Chat {
    let (gone, left) = mpsc::channel(8);
    let (address, server) = start(
        |builder| builder.connection_state_recovery(limits),
        |server| {
            server
                .of("/")
                .on_connect(|socket: Socket| async move {
                    if !socket.recovered() {
                        socket.set_state("remembered".to_owned());
                        socket.join("red");
                    }
                    let _ = socket.emit("welcome", &socket.recovered());
                })
                .on("who", |socket: Socket, mut event: Event| async move {
                    let state = socket.state::<String>().map(|state| state.to_string());
                    let rooms = socket.rooms().iter().map(ToString::to_string).collect::<Vec<_>>();
                    event.take_ack().unwrap().send(&(state, rooms)).unwrap();
                })
                .on_disconnect(move |_, _| {
                    gone.try_send(()).unwrap();
                    async {}
                });
        },
    )
    .await;
    Chat {
        address,
        root: server.of("/"),
        left,
        _server: server,
    }
}

/// Connects, waits for the first event, and loses the connection. Returns id and claim.
async fn lost(chat: &mut Chat) -> (String, Value) {
    let client = SioClient::connect(chat.address, "/", &Value::Null).await.unwrap();
    assert_eq!(client.next_event("welcome").await.unwrap(), json!(false));
    let kept = (client.id().to_owned(), client.claim());
    assert_ne!(kept.1, Value::Null);
    client.abort().await;
    chat.left.recv().await.unwrap();
    kept
}

async fn args_of(client: &SioClient, name: &str) -> Vec<Value> {
    let mut args = client
        .take(PATIENCE, name, |event| event.name == name)
        .await
        .unwrap()
        .args;
    // The offset.
    args.pop();
    args
}

#[tokio::test]
async fn a_lost_client_returns_with_id_rooms_state_and_missed_events() {
    let mut chat = chat(RecoveryLimits::default()).await;
    let (id, claim) = lost(&mut chat).await;
    let root = &chat.root;
    root.emit("to all", &1).unwrap();
    root.to("red").emit_args("to red", &(1, "two", [3])).unwrap();
    root.to("blue").emit("to blue", &1).unwrap();
    root.except("red").emit("to others", &1).unwrap();
    root.to(&id).emit("to me", &1).unwrap();
    root.volatile().emit("volatile", &1).unwrap();
    let client = SioClient::connect(chat.address, "/", &claim).await.unwrap();
    assert_eq!(client.id(), id);
    assert_eq!(client.next_event("welcome").await.unwrap(), json!(true));
    assert_eq!(args_of(&client, "to all").await, [json!(1)]);
    assert_eq!(
        args_of(&client, "to red").await,
        [json!(1), json!("two"), json!([3])]
    );
    assert_eq!(args_of(&client, "to me").await, [json!(1)]);
    let known = client.call("who", &json!(1)).await.unwrap();
    assert_eq!(known, json!(["remembered", ["red"]]));
    for absent in ["to blue", "to others", "volatile"] {
        assert!(client.drain(absent).is_empty(), "{absent}");
    }
    // Events after the return arrive once, and the session can be lost again.
    root.to("red").emit("later", &1).unwrap();
    assert_eq!(args_of(&client, "later").await, [json!(1)]);
    let claim = client.claim();
    client.abort().await;
    chat.left.recv().await.unwrap();
    chat.root.emit("to all", &2).unwrap();
    let client = SioClient::connect(chat.address, "/", &claim).await.unwrap();
    assert_eq!(client.id(), id);
    assert_eq!(args_of(&client, "to all").await, [json!(2)]);
}

#[tokio::test]
async fn a_client_that_missed_too_much_or_left_for_good_starts_anew() {
    let mut limits = RecoveryLimits::default();
    limits.max_events = 2;
    let mut chat = chat(limits).await;
    let (id, claim) = lost(&mut chat).await;
    for number in 0..3 {
        chat.root.emit("to all", &number).unwrap();
    }
    let client = SioClient::connect(chat.address, "/", &claim).await.unwrap();
    assert_ne!(client.id(), id);
    assert_eq!(client.next_event("welcome").await.unwrap(), json!(false));
    let claim = client.claim();
    client.send_text("41".to_owned()).await.unwrap();
    chat.left.recv().await.unwrap();
    let client = SioClient::connect(chat.address, "/", &claim).await.unwrap();
    assert_eq!(client.next_event("welcome").await.unwrap(), json!(false));
}

#[tokio::test]
async fn a_session_returns_to_one_connection_only() {
    let mut chat = chat(RecoveryLimits::default()).await;
    let (id, claim) = lost(&mut chat).await;
    let connect = || SioClient::connect(chat.address, "/", &claim);
    let (first, second) = tokio::join!(connect(), connect());
    let ids: Vec<String> = [first, second]
        .iter()
        .flatten()
        .map(|client| client.id().to_owned())
        .collect();
    assert_eq!(ids.iter().filter(|other| **other == id).count(), 1, "{ids:?}");
}
