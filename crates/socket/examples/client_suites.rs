//! The servers that the test suites of the npm packages engine.io-client (port 3000) and socket.io-client
//! (port 3210) expect, as in their `test/support` folders.
//!
//! `make client-suites` builds it and runs the suites, without the hooks that start their own servers.

use std::{
    collections::HashMap,
    future::pending,
    io,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::Request, middleware, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use roomful_socket::{
    Class, Cors, Event, HttpLimits, Payload, Prepared, PrivateId, Reason, Recovery, RecoveryRequest, Refusal,
    Restored, Restoring, Settings, Socket, SocketId, WebSocketServer,
    engine::{Connection, EngineServer, Incoming, Service, Session},
    serve,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The headers of each session's latest POST as JSON, for the command `sendHeaders`.
static POST_HEADERS: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);

/// The Engine.IO server: echoes, and answers a few commands.
struct EchoService;

struct Echo(Arc<Session>);

impl Service for EchoService {
    fn connect(&self, session: &Arc<Session>) -> Box<dyn Connection> {
        session.send(&Prepared::text("hi"), Class::Durable);
        Box::new(Echo(session.clone()))
    }
}

impl Connection for Echo {
    fn receive(&mut self, message: Incoming<'_>) -> Result<(), Reason> {
        let answer = match message {
            Incoming::Text("give binary") => Prepared::binary(&[0, 1, 2, 3, 4]),
            Incoming::Text("give utf8") => Prepared::text("пойду спать всем спокойной ночи"),
            Incoming::Text("sendHeaders") => {
                let headers = POST_HEADERS.lock();
                let own = headers.get(self.0.id().as_str());
                Prepared::text(own.map_or("{}", String::as_str))
            }
            Incoming::Text(text) => Prepared::text(text),
            Incoming::Binary(bytes) => Prepared::binary(bytes),
        };
        self.0.send(&answer, Class::Durable);
        Ok(())
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn closed(&mut self, _: Reason) {}
}

fn engine_server() -> axum::Router {
    let mut settings = Settings::default();
    settings.max_payload = 100;

    settings.heartbeat.interval = Duration::from_millis(500);
    EngineServer::new(settings, Cors::any(), Arc::new(EchoService))
        .router("/engine.io/")
        .layer(middleware::from_fn(deny_and_set_cookies))
}

/// The suite's `allowRequest` and `initial_headers` hooks.
async fn deny_and_set_cookies(request: Request, next: middleware::Next) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    if query.split('&').any(|pair| pair.starts_with("deny")) {
        let mut response = Response::new(Body::from(r#"{"code":4,"message":"Forbidden"}"#));
        *response.status_mut() = StatusCode::FORBIDDEN;
        return response;
    }
    let sid = query.split('&').find_map(|pair| pair.strip_prefix("sid="));
    if let (Some(sid), &Method::POST) = (sid, request.method()) {
        let headers = header_map(request.headers());
        let mut all = POST_HEADERS.lock();
        all.insert(sid.to_owned(), json!(headers).to_string());
    }
    let mut response = next.run(request).await;
    if sid.is_none() {
        for cookie in [
            "1=1; Max-Age=86400",
            "2=2; Path=/; HttpOnly; Secure; SameSite=Strict",
            "3=3; Max-Age=0",
            "4=4; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ] {
            let value = HeaderValue::from_static(cookie);
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// Sessions that recover without missed events: their public ids by their private ids.
#[derive(Default)]
struct Sessions(Mutex<HashMap<String, SocketId>>);

impl Recovery for Sessions {
    fn begin(&self, socket: &Socket, pid: &PrivateId) -> bool {
        let mut sessions = self.0.lock();
        sessions.insert(pid.as_str().to_owned(), *socket.id());
        true
    }

    fn restore<'a>(&'a self, _: &'a Socket, request: &'a RecoveryRequest) -> Restoring<'a> {
        Box::pin(async move {
            let sessions = self.0.lock();
            let sid = *sessions.get(request.pid.as_str())?;
            let missed = Vec::new();
            Some(Restored { sid, missed })
        })
    }

    fn abandon(&self, _: &Socket) {}
}

fn socket_server() -> axum::Router {
    let server = WebSocketServer::builder()
        .ping_interval(Duration::from_secs(2))
        .cors_any()
        .build();
    for name in ["/foo", "/timeout_socket", "/valid", "/asd"] {
        server.of(name).on("getId", get_id);
    }
    server.of("/abc").on_connect(|socket: Socket| async move {
        let _ = socket.emit("handshake", &handshake(&socket));
    });
    server
        .of("/no")
        .use_middleware(|_: Socket| async { Err(Refusal::new("Auth failed (custom namespace)")) });
    main_namespace(&server);
    server.router().layer(middleware::from_fn(
        |request: Request, next: middleware::Next| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            next.run(request).await
        },
    ))
}

fn main_namespace(server: &WebSocketServer) {
    let main = server.of("/");
    main.set_recovery(Arc::new(Sessions::default()));
    main.use_middleware(|socket: Socket| async move {
        if socket.handshake().query().contains("fail=") {
            return Err(Refusal::new("Auth failed (main namespace)"));
        }
        Ok(())
    });
    main.on("hi", |socket: Socket, _: Event| async move {
        if let Ok(hi) = socket.namespace().prepare_at("hi", &json!({}), "1") {
            socket.send_prepared(&hi, Class::Durable);
        }
    })
    .on("echo", |_: Socket, mut event: Event| async move {
        if let Some(ack) = event.take_ack() {
            ack.send_payload(&event.payload);
        }
    })
    .on("ack", |socket: Socket, _: Event| async move {
        tokio::spawn(async move {
            let timeout = Duration::from_secs(5);
            let answer = socket
                .emit_payload_with_ack("ack", &Payload::empty(), timeout)
                .await;
            if answer.is_ok_and(|answer| answer.arg::<u64>(0).is_ok_and(|number| number == 5)) {
                emit(&socket, "got it", &[]);
            }
        });
    })
    .on("getAckDate", |_: Socket, mut event: Event| async move {
        if let Some(ack) = event.take_ack() {
            let _ = ack.send("2026-01-01T00:00:00.000Z");
        }
    })
    .on("getHandshake", |socket: Socket, mut event: Event| async move {
        if let Some(ack) = event.take_ack() {
            let _ = ack.send(&handshake(&socket));
        }
    })
    .on("getId", get_id)
    .on_any(|socket: Socket, event: Event| async move { answer(&socket, &event) });
}

async fn get_id(socket: Socket, mut event: Event) {
    if let Some(ack) = event.take_ack() {
        let _ = ack.send(socket.id().as_str());
    }
}

/// Events that are answered with events.
fn answer(socket: &Socket, event: &Event) {
    let date = json!("2026-01-01T00:00:00.000Z");
    match &*event.name {
        // Not in the suites: a temporary end, to try how clients in other languages reconnect.
        "end" => socket.close(Reason::ForcedClose),
        "getDate" => emit(socket, "takeDate", &[date]),
        "getDateObj" => emit(socket, "takeDateObj", &[json!({ "date": date })]),
        "getUtf8" => {
            for text in [
                "てすと",
                "Я Б Г Д Ж Й",
                "Ä ä Ü ü ß",
                "utf8 — string",
                "utf8 — string",
            ] {
                emit(socket, "takeUtf8", &[json!(text)]);
            }
        }
        "false" => emit(socket, "false", &[json!(false)]),
        "doge" => emit_binary(socket, "doge"),
        "getbin" => emit_binary(socket, "takebin"),
        "buffa" if event.payload.binary(0).is_ok() => emit(socket, "buffack", &[]),
        "jsonbuff" if event.payload.attachments().len() == 1 => emit(socket, "jsonbuff-ack", &[]),
        "abuff2" => emit(socket, "abuff2-ack", &[]),
        "blob" if event.payload.binary(0).is_ok() => emit(socket, "back", &[]),
        "jsonblob" => emit(socket, "jsonblob-ack", &[]),
        "blob3" => emit(socket, "blob3-ack", &[]),
        _ => {}
    }
}

fn emit(socket: &Socket, name: &str, arguments: &[Value]) {
    let mut payload = Payload::empty();
    for argument in arguments {
        let _ = payload.push(argument);
    }
    let _ = socket.emit_payload(name, &payload);
}

fn emit_binary(socket: &Socket, name: &str) {
    let mut payload = Payload::empty();
    payload.push_binary(Bytes::from_static(b"asdfasdf"));
    let _ = socket.emit_payload(name, &payload);
}

fn handshake(socket: &Socket) -> Value {
    let handshake = socket.handshake();
    let query: HashMap<_, _> = handshake.query_pairs().collect();
    let headers = header_map(&handshake.headers);
    let auth = socket.auth();
    let auth: Value = auth
        .and_then(|auth| serde_json::from_str(auth.get()).ok())
        .unwrap_or_else(|| json!({}));
    json!({ "query": query, "headers": headers, "auth": auth })
}

fn header_map(headers: &HeaderMap) -> HashMap<&str, &str> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect()
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let engine = TcpListener::bind("127.0.0.1:3000").await?;
    let socket = TcpListener::bind("127.0.0.1:3210").await?;
    tokio::join!(
        serve(engine, engine_server(), HttpLimits::default(), pending()),
        serve(socket, socket_server(), HttpLimits::default(), pending()),
    );
    Ok(())
}
