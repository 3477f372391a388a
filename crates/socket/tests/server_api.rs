//! What users of Socket.IO's own server expect of one: observers, middleware, hooks, typed acks and options.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

mod fixture;

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use fixture::{POLLING, open_polling, post, start};
use parking_lot::Mutex;
use roomful_socket::{
    AckError, Binary, Cors, Event, Handshake, HttpLimits, Joined, Payload, Reason, Refusal, SessionCookie,
    Socket, WebSocketServer, serve,
};
use roomful_testkit::{
    PATIENCE, http,
    sio::SioClient,
    ws::{Frame, WsClient},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

/// What handlers have seen, in order.
type Seen = Arc<Mutex<Vec<String>>>;

async fn connect(address: SocketAddr) -> SioClient {
    SioClient::connect(address, "/", &Value::Null).await.unwrap()
}

fn note(seen: &Seen, text: impl Into<String>) {
    seen.lock().push(text.into());
}

#[tokio::test]
async fn all_handlers_of_an_event_run_in_order_and_the_first_ack_wins() {
    let seen = Seen::default();
    let noted = seen.clone();
    let (address, _server) = start(
        |builder| builder,
        |server| {
            let root = server.of("/");
            for name in ["first", "second"] {
                let seen = noted.clone();
                root.on("event", move |_, mut event: Event| {
                    note(&seen, format!("{name} {}", event.arg::<u8>(0).unwrap()));
                    async move {
                        tokio::task::yield_now().await;
                        if let Some(ack) = event.take_ack() {
                            ack.send(name).unwrap();
                        }
                    }
                });
            }
            let seen = noted.clone();
            root.on_any(move |_, event: Event| {
                note(&seen, format!("any {}", event.name));
                async {}
            });
        },
    )
    .await;
    let client = connect(address).await;
    client.emit("other", &json!(1)).await.unwrap();
    assert_eq!(client.call("event", &json!(7)).await.unwrap(), json!("first"));
    // The next event starts after the last handler of the previous one.
    client.call("event", &json!(8)).await.unwrap();
    assert_eq!(
        seen.lock()[..5],
        ["any other", "any event", "first 7", "second 7", "any event"]
    );
}

#[tokio::test]
async fn event_middleware_changes_and_refuses_events() {
    let (address, _server) = start(
        |builder| builder,
        |server| {
            server
                .of("/")
                .use_event_middleware(|_, mut event: Event| async move {
                    if &*event.name != "secret" {
                        return Ok(event);
                    }
                    if let Some(ack) = event.take_ack() {
                        ack.send("refused").unwrap();
                    }
                    Err(Refusal::new("not for you"))
                })
                .use_event_middleware(|_, mut event: Event| async move {
                    event.payload.push(&"checked").unwrap();
                    Ok(event)
                })
                .on_any(|_, mut event: Event| async move {
                    let (text, mark): (String, String) = event.payload.to_args().unwrap();
                    event.take_ack().unwrap().send_args(&(text + &mark,)).unwrap();
                });
        },
    )
    .await;
    let client = connect(address).await;
    assert_eq!(
        client.call("open", &json!("a ")).await.unwrap(),
        json!("a checked")
    );
    assert_eq!(
        client.call("secret", &json!("a ")).await.unwrap(),
        json!("refused")
    );
}

#[tokio::test]
async fn a_leaving_socket_still_has_its_rooms_in_the_disconnecting_handler() {
    let (left, mut leaving) = mpsc::channel(4);
    let (address, server) = start(
        |builder| builder,
        move |server| {
            let disconnected = left.clone();
            server
                .of("/")
                .on_connect(|socket: Socket| async move {
                    assert_eq!(socket.join("blue"), Joined::New);
                    assert_eq!(socket.join("blue"), Joined::Already);
                })
                .on_disconnecting(move |socket, reason| {
                    // An event still reaches the other members of its rooms.
                    let emitted = socket.to("blue").emit("left", socket.id().as_str()).unwrap();
                    left.try_send((socket.rooms().len(), Some(emitted), reason))
                        .unwrap();
                    assert_eq!(socket.join("red"), Joined::Disconnected);
                })
                .on_disconnect(move |socket: Socket, reason| {
                    disconnected
                        .try_send((socket.rooms().len(), None, reason))
                        .unwrap();
                    async {}
                });
        },
    )
    .await;
    let (stays, leaves) = (connect(address).await, connect(address).await);
    let id = leaves.id().to_owned();
    stays.emit("unknown", &json!(1)).await.unwrap();
    leaves.send_text("41".to_owned()).await.unwrap();
    let reason = Reason::ClientNamespaceDisconnect;
    assert_eq!(leaving.recv().await.unwrap(), (1, Some(1), reason));
    assert_eq!(leaving.recv().await.unwrap(), (0, None, reason));
    assert_eq!(stays.next_event("left").await.unwrap(), json!(id));
    assert_eq!(server.of("/").len(), 1);
}

#[tokio::test]
async fn a_socket_joins_no_more_rooms_than_allowed() {
    let (address, _server) = start(
        |builder| builder.max_rooms(1),
        |server| {
            server
                .of("/")
                .on("join", |socket: Socket, mut event: Event| async move {
                    let outcomes = ["a", "b", "a"].map(|room| format!("{:?}", socket.join(room)));
                    event.take_ack().unwrap().send(&outcomes).unwrap();
                });
        },
    )
    .await;
    let outcomes = connect(address).await.call("join", &json!(1)).await.unwrap();
    assert_eq!(outcomes, json!(["New", "TooManyRooms", "Already"]));
}

#[tokio::test]
async fn outgoing_events_are_observed_with_their_arguments() {
    let seen = Seen::default();
    let noted = seen.clone();
    let (address, server) = start(
        |builder| builder,
        |server| {
            server.of("/").on_any_outgoing(move |socket, name, payload| {
                let attachments = payload.attachments().len();
                note(&noted, format!("{} {name} {attachments}", socket.id()));
            });
        },
    )
    .await;
    let clients = [connect(address).await, connect(address).await];
    let root = server.of("/");
    let one = root
        .sockets()
        .into_iter()
        .find(|s| s.id().as_str() == clients[0].id());
    let one = one.unwrap();
    one.emit_args("move", &(1, Binary::from(vec![1]))).unwrap();
    root.emit("all", &1).unwrap();
    one.disconnect(false);
    let mut expected = vec![
        format!("{} all 0", clients[0].id()),
        format!("{} all 0", clients[1].id()),
    ];
    expected.push(format!("{} move 1", clients[0].id()));
    let mut seen = seen.lock().clone();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected, "and no DISCONNECT packet");
}

#[tokio::test]
async fn the_upgrade_of_a_connected_client_is_announced() {
    let (transports, mut upgrades) = mpsc::channel(1);
    let (address, _server) = start(
        |builder| builder,
        |server| {
            server.of("/").on_upgrade(move |socket| {
                transports.try_send(socket.transport()).unwrap();
            });
        },
    )
    .await;
    let path = open_polling(address).await;
    post(address, &path, "40").await;
    assert!(http::get(address, &path).await.unwrap().text().starts_with("40"));
    let target = path.replace("polling", "websocket");
    let mut socket = WsClient::connect(address, &target, &[]).await.unwrap();
    socket.send_text("2probe").await.unwrap();
    assert_eq!(
        socket.recv_within(PATIENCE).await.unwrap(),
        Frame::Text("3probe".into())
    );
    socket.send_text("5").await.unwrap();
    assert_eq!(upgrades.recv().await.unwrap(), "websocket");
}

#[tokio::test]
async fn requests_are_allowed_by_the_application_first() {
    let (address, server) = start(
        |builder| builder.keep_headers(false),
        |server| {
            server.allow_request(|handshake: Arc<Handshake>| async move {
                match handshake.query_param("key").as_deref() {
                    Some("a key") => Ok(()),
                    _ => Err("the key is wrong".to_owned()),
                }
            });
        },
    )
    .await;
    let refused = http::get(address, POLLING).await.unwrap();
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json(), json!({"code": 4, "message": "the key is wrong"}));
    let target = "/socket.io/?EIO=4&transport=websocket";
    assert!(WsClient::connect(address, target, &[]).await.is_err());
    assert_eq!(server.connections(), 0);
    let allowed = http::get(address, &format!("{POLLING}&key=a+key")).await.unwrap();
    assert_eq!(allowed.status, 200);
}

#[tokio::test]
async fn handshakes_tell_url_query_time_and_security() {
    let (address, _server) = start(
        |builder| builder,
        |server| {
            server
                .of("/")
                .on("handshake", |socket: Socket, mut event: Event| async move {
                    let handshake = socket.handshake();
                    let room = handshake.query_param("room").map(std::borrow::Cow::into_owned);
                    let known = (
                        &handshake.url,
                        handshake.secure,
                        room,
                        handshake.time.elapsed().is_ok(),
                    );
                    event.take_ack().unwrap().send(&known).unwrap();
                });
        },
    )
    .await;
    let target = "/socket.io/?EIO=4&transport=websocket&room=b%C3%A4r";
    let mut socket = WsClient::connect(address, target, &[]).await.unwrap();
    for text in ["40", "420[\"handshake\"]"] {
        socket.send_text(text).await.unwrap();
    }
    let answer = loop {
        match socket.recv_within(PATIENCE).await.unwrap() {
            Frame::Text(text) if text.starts_with("430") => break text,
            Frame::Text(_) => {}
            other => panic!("{other:?}"),
        }
    };
    let answer: Value = serde_json::from_str(&answer[3..]).unwrap();
    assert_eq!(answer, json!([[target, false, "bär", true]]));
}

#[tokio::test]
async fn cors_answers_carry_the_policy_and_the_session_cookie() {
    let cors = Cors::list(["https://app.example"])
        .credentials(false)
        .methods([::http::Method::GET])
        .allowed_headers([::http::header::AUTHORIZATION])
        .exposed_headers([::http::header::RETRY_AFTER])
        .max_age(std::time::Duration::from_secs(5));
    let (address, _server) = start(
        |builder| builder.cors_policy(cors).cookie(SessionCookie::new("io")),
        |_| {},
    )
    .await;
    let headers = [
        ("origin", "https://app.example"),
        ("access-control-request-headers", "x-other"),
    ];
    let preflight = http::request(address, "OPTIONS", POLLING, &headers, b"")
        .await
        .unwrap();
    for (name, value) in [
        ("access-control-allow-methods", Some("GET")),
        ("access-control-allow-headers", Some("authorization")),
        ("access-control-expose-headers", Some("retry-after")),
        ("access-control-max-age", Some("5")),
        ("access-control-allow-credentials", None),
    ] {
        assert_eq!(preflight.header(name), value, "{name}");
    }
    let opened = http::get(address, POLLING).await.unwrap();
    let open: Value = serde_json::from_str(&opened.text()[1..]).unwrap();
    let cookie = format!(
        "io={}; Path=/; HttpOnly; SameSite=Lax",
        open["sid"].as_str().unwrap()
    );
    assert_eq!(opened.header("set-cookie"), Some(cookie.as_str()));
}

#[tokio::test]
async fn a_server_is_a_service_at_any_path() {
    let server = WebSocketServer::builder().build();
    let app: Router = Router::new().nest_service("/live/events", server.service());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(
        listener,
        app,
        HttpLimits::default(),
        std::future::pending(),
    ));
    let answer = http::get(address, "/live/events/?EIO=4&transport=polling")
        .await
        .unwrap();
    assert!(answer.text().starts_with("0{"), "{}", answer.text());
    let path = "/live/events?EIO=4&transport=websocket";
    WsClient::connect(address, path, &[]).await.unwrap();
    assert_eq!(http::get(address, POLLING).await.unwrap().status, 404);
}

#[tokio::test]
async fn a_server_listens_until_it_closes() {
    let server = WebSocketServer::builder().build();
    server.of("/");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn({
        let server = server.clone();
        async move { server.serve(listener).await }
    });
    let client = connect(address).await;
    server.close().await;
    serving.await.unwrap();
    client.wait_end(PATIENCE).await.unwrap();
    assert!(TcpListener::bind(address).await.is_ok(), "the port is free");
    assert!(server.listen("not an address").await.is_err());
}

#[tokio::test]
async fn acks_are_typed_and_may_have_any_arguments() {
    let (answered, mut answers) = mpsc::channel(1);
    let (address, _server) = start(
        |builder| builder,
        |server| {
            server.of("/").on("ask", move |socket: Socket, _| {
                let answered = answered.clone();
                async move {
                    let number = socket.emit_with_ack::<u8>("typed", "x", PATIENCE).await;
                    let wrong = socket.emit_with_ack::<u8>("typed", "x", PATIENCE).await;
                    let none = socket
                        .emit_payload_with_ack("none", &Payload::empty(), PATIENCE)
                        .await;
                    answered.send((number, wrong, none)).await.unwrap();
                }
            });
        },
    )
    .await;
    let client = connect(address).await;
    client.emit("ask", &json!(1)).await.unwrap();
    for answer in [json!(7), json!("seven")] {
        let event = client
            .take(PATIENCE, "typed", |event| event.name == "typed")
            .await
            .unwrap();
        assert_eq!(event.args, [json!("x")]);
        client.ack(event.ack.unwrap(), &answer).await.unwrap();
    }
    let event = client
        .take(PATIENCE, "none", |event| event.name == "none")
        .await
        .unwrap();
    assert!(event.args.is_empty());
    client
        .send_text(format!("43{}[]", event.ack.unwrap()))
        .await
        .unwrap();
    let (number, wrong, none) = answers.recv().await.unwrap();
    assert_eq!(number, Ok(7));
    assert!(matches!(wrong, Err(AckError::Unreadable(_))), "{wrong:?}");
    assert!(none.unwrap().is_empty());
}
