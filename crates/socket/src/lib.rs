//! A Socket.IO server: Engine.IO 4 and Socket.IO 5 over hyper and axum. Knows nothing of chat.
//!
//! ```no_run
//! use roomful_socket::{Event, HttpLimits, Socket, WebSocketServer, serve};
//!
//! # async fn run() -> std::io::Result<()> {
//! let server = WebSocketServer::builder().cors(["https://yourdomain.com"]).build();
//! server.of("/").on("message", |socket: Socket, mut event: Event| async move {
//!     let text: String = event.arg(0).unwrap_or_default();
//!     let _ = socket.broadcast().emit("message", &text);
//!     if let Some(ack) = event.take_ack() {
//!         let _ = ack.send(&"ok");
//!     }
//! });
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! serve(listener, server.router(), HttpLimits::default(), std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! From the bottom up: [`engine`] moves messages over long-polling and WebSocket; the Socket.IO layer adds
//! namespaces, sockets, rooms, events and acks.

mod accept;
#[cfg(feature = "cluster")]
pub mod cluster;
mod connection_limit;
mod cors;
mod drain;
pub mod engine;
mod handshake;
mod head_timer;
mod http_stream;
mod id;
mod metrics;
mod node_tag;
mod outbox;
mod prepared;
mod reason;
mod settings;
mod socketio;
mod throttled_log;
mod transfer_deadline;

pub use roomful_wire::packet::{ArgError, Payload};

pub use crate::{
    accept::{HttpLimits, serve},
    connection_limit::{ConnectionLimits, client_network},
    cors::{Cors, ForwardedHost},
    drain::{Drain, Drained},
    engine::DeliveryMark,
    handshake::{ClientAddress, ClientKind, Handshake},
    id::{SessionId, SocketId},
    outbox::{Class, Sent},
    prepared::Prepared,
    reason::Reason,
    settings::Settings,
    socketio::{
        AckError, AckSender, Broadcast, Builder, EmitError, Event, FetchError, Namespace, PrivateId,
        Recovery, RecoveryRequest, Refusal, RemoteSocket, Restored, Restoring, Socket, WebSocketServer,
    },
    transfer_deadline::TooSlow,
};
