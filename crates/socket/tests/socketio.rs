//! Socket.IO over real sockets: namespaces, middleware, order, acks, rooms and disconnects.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

mod fixture;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fixture::start;
use roomful_socket::{
    AckError, Class, Event, Payload, Prepared, Reason, Refusal, Sent, Socket, WebSocketServer,
};
use roomful_testkit::{
    Error, PATIENCE,
    session::End,
    sio::SioClient,
    ws::{Frame, WsClient},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

async fn connect(address: SocketAddr) -> SioClient {
    SioClient::connect(address, "/", &Value::Null).await.unwrap()
}

/// A raw connection after the open packet.
async fn raw(address: SocketAddr) -> WsClient {
    let mut socket = WsClient::connect(address, WEBSOCKET, &[]).await.unwrap();
    assert!(matches!(socket.recv().await.unwrap(), Frame::Text(_)));
    socket
}

async fn assert_closed(socket: &mut WsClient, what: &str) {
    loop {
        match socket.recv_within(PATIENCE).await.unwrap() {
            Frame::Close(_) | Frame::Eof => return,
            Frame::Text(text) if text.starts_with("40") || text == "2" => {}
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn middleware_refuses_with_a_message_and_data() {
    let (address, _server) = start(
        |builder| builder,
        |server| {
            server.of("/").use_middleware(|socket: Socket| async move {
                let auth = socket
                    .take_auth()
                    .map(|auth| auth.get().to_owned())
                    .unwrap_or_default();
                if auth.contains("secret") {
                    return Ok(());
                }
                Err(Refusal::new("not you").data(json!({"code": "unauthorized"})))
            });
        },
    )
    .await;
    match SioClient::connect(address, "/", &json!({"token": "wrong"})).await {
        Err(Error::ConnectRefused(error)) => {
            assert_eq!(
                error,
                json!({"message": "not you", "data": {"code": "unauthorized"}})
            );
        }
        other => panic!("{other:?}"),
    }
    SioClient::connect(address, "/", &json!({"token": "secret"}))
        .await
        .unwrap();
}

#[tokio::test]
async fn panics_in_middleware_refuse_the_client_and_panics_in_handlers_harm_no_other() {
    let (address, _server) = start(
        |builder| builder,
        |server| {
            server
                .of("/locked")
                .use_middleware(|_| async { panic!("a bug in a check") });
            server
                .of("/")
                .on("bug", |_, _| async { panic!("a bug in a handler") })
                .on("fine", |_, mut event: Event| async move {
                    event.take_ack().unwrap().send("fine").unwrap();
                });
        },
    )
    .await;
    assert!(
        SioClient::connect(address, "/locked", &Value::Null)
            .await
            .is_err()
    );
    let client = connect(address).await;
    client.emit("bug", &json!(1)).await.unwrap();
    assert_eq!(client.call("fine", &json!(1)).await.unwrap(), json!("fine"));
}

#[tokio::test]
async fn dynamic_namespaces_exist_while_they_have_clients() {
    let (address, server) = start(
        |builder| builder,
        |server| {
            server.of_dynamic(|name| name.starts_with("/tenant-")).on(
                "who",
                |socket: Socket, mut event: Event| async move {
                    event.take_ack().unwrap().send(socket.namespace().name()).unwrap();
                },
            );
        },
    )
    .await;
    assert!(SioClient::connect(address, "/other", &Value::Null).await.is_err());
    let first = SioClient::connect(address, "/tenant-1", &Value::Null)
        .await
        .unwrap();
    let second = SioClient::connect(address, "/tenant-1", &Value::Null)
        .await
        .unwrap();
    assert_eq!(first.call("who", &json!(0)).await.unwrap(), json!("/tenant-1"));
    assert_eq!(server.dynamic_namespaces().len(), 1);
    assert_eq!(server.dynamic_namespaces()[0].len(), 2);
    first.close().await.unwrap();
    second.abort().await;
    while !server.dynamic_namespaces().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn acks_overtake_queued_events() {
    let (address, _server) = start(
        |builder| builder,
        |server| {
            server
                .of("/")
                .on("ask", |socket: Socket, event: Event| async move {
                    // Waits for this client's own ack, with events queued behind it.
                    let answer: Value = socket.emit_with_ack("question", &1, PATIENCE).await.unwrap();
                    let number: u64 = event.arg(0).unwrap();
                    socket.emit("done", &json!([number, answer])).unwrap();
                })
                .on("quick", |socket: Socket, event: Event| async move {
                    socket.emit("done", &event.arg::<Value>(0).unwrap()).unwrap();
                });
        },
    )
    .await;
    let client = connect(address).await;
    client.emit("ask", &json!(1)).await.unwrap();
    for number in 2..40 {
        client.emit("quick", &json!(number)).await.unwrap();
    }
    let question = client
        .take(PATIENCE, "a question", |event| event.name == "question")
        .await
        .unwrap();
    assert!(
        client.drain("done").is_empty(),
        "nothing may overtake the first event"
    );
    client.ack(question.ack.unwrap(), &json!("answer")).await.unwrap();
    assert_eq!(client.next_event("done").await.unwrap(), json!([1, "answer"]));
    for number in 2..40 {
        assert_eq!(client.next_event("done").await.unwrap(), json!(number));
    }
}

#[tokio::test]
async fn reading_pauses_while_events_are_queued() {
    let handled = Arc::new(AtomicUsize::new(0));
    let counter = handled.clone();
    let (address, _server) = start(
        |builder| builder.inbox_events(4),
        move |server| {
            server.of("/").on("event", move |_, mut event: Event| {
                let counter = counter.clone();
                async move {
                    tokio::task::yield_now().await;
                    let nth = counter.fetch_add(1, Ordering::SeqCst);
                    if let Some(ack) = event.take_ack() {
                        ack.send(&nth).unwrap();
                    }
                }
            });
        },
    )
    .await;
    let client = connect(address).await;
    for _ in 0..5000 {
        client.emit("event", &json!("x".repeat(100))).await.unwrap();
    }
    assert_eq!(client.call("event", &json!("last")).await.unwrap(), json!(5000));
}

#[tokio::test]
async fn broadcasts_reach_the_selected_rooms() {
    let (address, server) = start(
        |builder| builder,
        |server| {
            server
                .of("/")
                .on("join", |socket: Socket, mut event: Event| async move {
                    let joined = socket.join(&event.arg::<String>(0).unwrap());
                    event.take_ack().unwrap().send(&joined.is_member()).unwrap();
                })
                .on("say", |socket: Socket, event: Event| async move {
                    socket
                        .to("a")
                        .to("b")
                        .except("c")
                        .emit("said", &event.arg::<Value>(0).unwrap())
                        .unwrap();
                });
        },
    )
    .await;
    let (first, second, third) = (
        connect(address).await,
        connect(address).await,
        connect(address).await,
    );
    for (client, rooms) in [(&first, ["a", "b"]), (&second, ["a", "b"]), (&third, ["b", "c"])] {
        for room in rooms {
            assert_eq!(client.call("join", &json!(room)).await.unwrap(), json!(true));
        }
    }
    first.emit("say", &json!("hello")).await.unwrap();
    assert_eq!(second.next_event("said").await.unwrap(), json!("hello"));
    let root = server.of("/");
    assert_eq!(root.emit("end", &1).unwrap(), 3);
    for client in [&first, &second, &third] {
        client.next_event("end").await.unwrap();
    }
    assert!(
        second.drain("said").is_empty(),
        "a member of both rooms gets it once"
    );
    assert!(
        first.drain("said").is_empty() && third.drain("said").is_empty(),
        "neither the sender nor room c"
    );

    assert_eq!(
        root.to(third.id()).emit("private", &1).unwrap(),
        1,
        "a socket's id is a room"
    );
    third.next_event("private").await.unwrap();
    assert_eq!(root.room_names().len(), 3);
    for client in [first, second, third] {
        client.close().await.unwrap();
    }
    while !root.room_names().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_broadcast_reports_answers_time_outs_and_disconnects() {
    let (address, server) = start(|builder| builder, |server| drop(server.of("/"))).await;
    let (quick, silent, leaving) = (
        connect(address).await,
        connect(address).await,
        connect(address).await,
    );
    let root = server.of("/");
    let timeout = Duration::from_millis(300);
    let asking = tokio::spawn(async move {
        root.local()
            .timeout(timeout)
            .emit_with_ack::<String>("ask", &1)
            .await
            .unwrap()
    });
    for client in [&quick, &silent, &leaving] {
        let event = client
            .take(PATIENCE, "ask", |event| event.name == "ask")
            .await
            .unwrap();
        if client.id() == quick.id() {
            client.ack(event.ack.unwrap(), &json!("yes")).await.unwrap();
        }
    }
    let (silent_id, leaving_id) = (silent.id().to_owned(), leaving.id().to_owned());
    leaving.close().await.unwrap();
    let outcomes = asking.await.unwrap();
    assert_eq!(outcomes.len(), 3);
    for (id, outcome) in outcomes {
        match outcome {
            Ok(answer) => assert_eq!((id.as_str(), answer.as_str()), (quick.id(), "yes")),
            Err(AckError::Timeout) => assert_eq!(id.as_str(), silent_id),
            Err(AckError::Disconnected) => assert_eq!(id.as_str(), leaving_id),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn binary_events_travel_both_ways() {
    let (address, _server) = start(
        |builder| builder,
        |server| {
            server
                .of("/")
                .on("file", |socket: Socket, event: Event| async move {
                    let mut payload = Payload::one(&event.arg::<String>(0).unwrap()).unwrap();
                    payload.push_binary(event.payload.binary(1).unwrap());
                    socket.emit_payload("file", &payload).unwrap();
                });
        },
    )
    .await;
    let mut socket = raw(address).await;
    socket.send_text("40").await.unwrap();
    assert!(matches!(socket.recv().await.unwrap(), Frame::Text(_)));
    socket
        .send_text(r#"451-["file","name",{"_placeholder":true,"num":0}]"#)
        .await
        .unwrap();
    socket.send_binary(&[1, 2, 3]).await.unwrap();
    let text = socket.recv().await.unwrap();
    assert_eq!(
        text,
        Frame::Text(r#"451-["file","name",{"_placeholder":true,"num":0}]"#.into())
    );
    assert_eq!(socket.recv().await.unwrap(), Frame::Binary(vec![1, 2, 3].into()));
}

#[tokio::test]
async fn packets_out_of_order_close_the_connection() {
    let (address, _server) = start(|builder| builder, |server| drop(server.of("/"))).await;
    let rows: [(&str, &[&str]); 13] = [
        ("an event before CONNECT", &["42[\"x\"]"]),
        ("an ack before CONNECT", &["431[]"]),
        ("a second CONNECT", &["40", "40"]),
        ("a disconnect before CONNECT", &["41"]),
        ("a refusal from the client", &["40", "44{\"message\":\"no\"}"]),
        ("an unknown packet", &["40", "49"]),
        (
            "text amid a binary packet",
            &["40", "451-[\"x\",{\"_placeholder\":true,\"num\":0}]", "42[\"y\"]"],
        ),
        ("too many attachments", &["40", "4511-[\"x\"]"]),
        ("no attachments announced", &["40", "450-[\"x\"]"]),
        ("a payload that is no array", &["40", "42{}"]),
        ("a reserved name", &["40", "42[\"disconnect\"]"]),
        ("a bad ack id", &["40", "42abc[\"x\"]"]),
        ("no JSON", &["40", "42[\"x\","]),
    ];
    for (what, packets) in rows {
        let mut socket = raw(address).await;
        for packet in packets {
            socket.send_text(packet).await.unwrap();
        }
        assert_closed(&mut socket, what).await;
    }
    let mut socket = raw(address).await;
    socket.send_text("40").await.unwrap();
    assert!(matches!(socket.recv().await.unwrap(), Frame::Text(_)));
    socket.send_binary(b"stray").await.unwrap();
    assert_closed(&mut socket, "stray binary").await;
}

#[tokio::test]
async fn a_client_without_a_namespace_times_out() {
    let (address, _server) = start(
        |builder| builder.connect_timeout(Duration::from_millis(50)),
        |server| drop(server.of("/")),
    )
    .await;
    let mut idle = raw(address).await;
    assert_closed(&mut idle, "no CONNECT at all").await;
    let mut refused = raw(address).await;
    refused.send_text("40/nowhere").await.unwrap();
    assert_eq!(
        refused.recv().await.unwrap(),
        Frame::Text("44/nowhere,{\"message\":\"Invalid namespace\"}".into())
    );
    assert_closed(&mut refused, "refused, and stayed").await;
}

#[tokio::test]
async fn namespaces_of_one_connection_are_limited() {
    let (address, _server) = start(
        |builder| builder.max_namespaces(2),
        |server| drop(server.of_dynamic(|_| true)),
    )
    .await;
    let mut socket = raw(address).await;
    for (name, granted) in [("/a", true), ("/b", true), ("/c", false)] {
        socket.send_text(&format!("40{name}")).await.unwrap();
        let Frame::Text(answer) = socket.recv().await.unwrap() else {
            panic!("no text")
        };
        assert_eq!(answer.starts_with("40"), granted, "{answer}");
    }
}

#[tokio::test]
async fn the_disconnect_handler_runs_after_all_queued_events() {
    let (log, mut entries) = mpsc::channel(16);
    let (address, _server) = start(
        |builder| builder,
        move |server| {
            let events = log.clone();
            server
                .of("/")
                .on("event", move |_, event: Event| {
                    let log = events.clone();
                    async move {
                        tokio::task::yield_now().await;
                        log.send(event.arg::<String>(0).unwrap()).await.unwrap();
                    }
                })
                .on_disconnect(move |socket: Socket, reason: Reason| {
                    let log = log.clone();
                    async move {
                        assert!(!socket.is_connected());
                        log.send(reason.to_string()).await.unwrap();
                    }
                });
        },
    )
    .await;
    let mut socket = raw(address).await;
    socket.send_text("40").await.unwrap();
    for number in 0..5 {
        socket
            .send_text(&format!("42[\"event\",\"{number}\"]"))
            .await
            .unwrap();
    }
    socket.send_text("41").await.unwrap();
    for expected in ["0", "1", "2", "3", "4", "client namespace disconnect"] {
        assert_eq!(entries.recv().await.unwrap(), expected);
    }
    socket.send_text("40").await.unwrap();
    socket.send_text("42[\"event\",\"again\"]").await.unwrap();
    assert_eq!(entries.recv().await.unwrap(), "again");
    socket.send_close(None).await.unwrap();
    assert_eq!(entries.recv().await.unwrap(), "transport close");
}

#[tokio::test]
async fn disconnect_ends_a_namespace_or_the_whole_connection() {
    let (address, server) = start(|builder| builder, |server| drop(server.of("/"))).await;
    let client = connect(address).await;
    let socket = server.of("/").sockets().pop().unwrap();
    socket.disconnect(true);
    assert_eq!(
        socket.send_prepared(&server.of("/").prepare("late", &1).unwrap(), Class::Durable),
        Sent::Closed
    );
    let end = client.wait_end(PATIENCE).await.unwrap();
    assert!(matches!(end, End::Disconnected), "{end:?}");

    let client = connect(address).await;
    server.of("/").sockets().pop().unwrap().close(Reason::ForcedClose);
    let end = client.wait_end(PATIENCE).await.unwrap();
    assert!(
        !matches!(end, End::Disconnected),
        "a bare close lets the client come back: {end:?}"
    );

    let client = connect(address).await;
    server.close().await;
    assert_eq!(server.connections(), 0);
    client.wait_end(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn volatile_frames_are_dropped_before_a_client_is_closed() {
    let (address, server) = start(
        |builder| builder.outbox(64 * 1024, 1024),
        |server| drop(server.of("/")),
    )
    .await;
    let mut stopped = raw(address).await;
    stopped.send_text("40").await.unwrap();
    assert!(matches!(stopped.recv().await.unwrap(), Frame::Text(_)));
    let socket = server.of("/").sockets().pop().unwrap();
    let text = "x".repeat(8 * 1024);
    let state = |n: u32| {
        server
            .of("/")
            .prepare("state", &json!({"n": n, "text": text}))
            .unwrap()
    };
    let mut n = 0;
    // Until the kernel's buffers are full, then until the outbox is full.
    while socket.send_prepared(&state(n), Class::Volatile) == Sent::Queued {
        n += 1;
        tokio::task::yield_now().await;
        assert!(n < 100_000, "a volatile event is never dropped");
    }
    while socket.send_prepared(&state(n), Class::Latest(u64::from(n))) == Sent::Queued {
        n += 1;
        assert!(n < 100_000, "the outbox has no bound");
    }
    assert!(socket.is_connected());
    // A newer state replaces a queued one.
    assert_eq!(
        socket.send_prepared(&state(n - 1), Class::Latest(u64::from(n - 1))),
        Sent::Queued
    );
    assert_eq!(socket.send_prepared(&state(n), Class::Durable), Sent::Closed);
    assert!(!socket.is_connected());
}

#[tokio::test]
async fn emitting_a_reserved_name_is_an_error() {
    let server = WebSocketServer::builder().build();
    for name in [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ] {
        assert!(server.of("/").emit(name, &1).is_err(), "{name}");
    }
    assert_eq!(server.of("/").emit("message", &1).unwrap(), 0);
    assert!(Prepared::text("x").len() > 1);
}

#[tokio::test]
async fn a_waiting_handler_is_notified_when_its_client_leaves() {
    let (outcome, mut outcomes) = mpsc::channel(1);
    let (address, _server) = start(
        |builder| builder,
        move |server| {
            server.of("/").on("ask", move |socket: Socket, _| {
                let outcome = outcome.clone();
                async move {
                    let answer = socket
                        .emit_with_ack::<Value>("question", &1, PATIENCE * 100)
                        .await;
                    outcome.send(answer.unwrap_err()).await.unwrap();
                }
            });
        },
    )
    .await;
    let client = connect(address).await;
    client.emit("ask", &json!(1)).await.unwrap();
    client
        .take(PATIENCE, "the question", |event| event.name == "question")
        .await
        .unwrap();
    client.abort().await;
    assert_eq!(outcomes.recv().await.unwrap(), AckError::Disconnected);
}

#[tokio::test]
async fn a_handler_that_panics_before_its_future_still_disconnects() {
    let (address, server) = start(
        |builder| builder,
        |server| {
            server.of("/").on("bug", |_, event: Event| {
                let number: u32 = event.arg(0).unwrap();
                async move { assert_eq!(number, 1) }
            });
        },
    )
    .await;
    let client = connect(address).await;
    client.emit("bug", &json!("no number")).await.unwrap();
    client.close().await.unwrap();
    while !server.of("/").is_empty() || server.connections() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_socket_disconnected_by_the_middleware_never_connects() {
    let (address, server) = start(
        |builder| builder,
        |server| {
            server.of("/").use_middleware(|socket: Socket| async move {
                socket.disconnect(false);
                Ok(())
            });
        },
    )
    .await;
    assert!(SioClient::connect(address, "/", &Value::Null).await.is_err());
    assert!(server.of("/").is_empty());
}
