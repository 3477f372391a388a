//! The server that the official protocol suites expect: short heartbeats, a raw Engine.IO echo at
//! `/engine.io/`, and a Socket.IO server at `/socket.io/` with the namespaces `/` and `/custom`.
//!
//! `cargo run --release -p roomful-socket --example conformance -- 127.0.0.1:3000`

use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use roomful_socket::{
    Class, Cors, Event, HttpLimits, Namespace, Payload, Prepared, Reason, Settings, Socket, WebSocketServer,
    engine::{Connection, EngineServer, Incoming, Service, Session},
    serve,
};
use tokio::net::TcpListener;

const PING_INTERVAL: Duration = Duration::from_millis(300);
const PING_TIMEOUT: Duration = Duration::from_millis(200);
const MAX_PAYLOAD: usize = 1_000_000;

struct EchoService;

struct Echo(Arc<Session>);

impl Service for EchoService {
    fn connect(&self, session: &Arc<Session>) -> Box<dyn Connection> {
        Box::new(Echo(session.clone()))
    }
}

impl Connection for Echo {
    fn receive(&mut self, message: Incoming<'_>) -> Result<(), Reason> {
        let echo = match message {
            Incoming::Text(text) => Prepared::text(text),
            Incoming::Binary(bytes) => Prepared::binary(bytes),
        };
        self.0.send(&echo, Class::Durable);
        Ok(())
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn closed(&mut self, _: Reason) {}
}

fn engine_echo() -> EngineServer {
    let mut settings = Settings::default();
    settings.max_payload = MAX_PAYLOAD;

    settings.heartbeat.interval = PING_INTERVAL;
    settings.heartbeat.timeout = PING_TIMEOUT;
    EngineServer::new(settings, Cors::any(), Arc::new(EchoService))
}

fn socket_server() -> WebSocketServer {
    let server = WebSocketServer::builder()
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        .max_payload(MAX_PAYLOAD)
        .cors_any()
        .build();
    echo_events(&server.of("/"));
    echo_events(&server.of("/custom"));
    server
}

fn echo_events(namespace: &Namespace) {
    namespace
        .on_connect(|socket: Socket| async move {
            let auth = socket
                .auth()
                .map_or_else(|| "{}".to_owned(), |auth| auth.get().to_owned());
            let auth = Payload::from_parts(auth, 1, Vec::new());
            let _ = socket.emit_payload("auth", &auth);
        })
        .on("message", |socket: Socket, event: Event| async move {
            let _ = socket.emit_payload("message-back", &event.payload);
        })
        .on("message-with-ack", |_: Socket, mut event: Event| async move {
            if let Some(ack) = event.take_ack() {
                ack.send_payload(&event.payload);
            }
        });
}

#[tokio::main]
async fn main() -> io::Result<()> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(&address).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    if let Ok(file) = std::env::var("ROOMFUL_PORT_FILE") {
        std::fs::write(file, format!("{}\n", listener.local_addr()?))?;
    }
    let router = engine_echo()
        .router("/engine.io/")
        .merge(socket_server().router());
    serve(listener, router, HttpLimits::default(), async {
        let _ = tokio::signal::ctrl_c().await;
    })
    .await;
    Ok(())
}
