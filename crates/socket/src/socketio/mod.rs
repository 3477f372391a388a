//! Socket.IO 5 on top of Engine.IO sessions: namespaces, sockets, rooms, events and acks.

mod ack;
mod adapter;
mod broadcast;
mod client;
mod collect_acks;
mod drain;
mod event;
mod handlers;
mod msgpack;
mod namespace;
mod rooms;
mod server;
mod socket;

pub use self::{
    ack::{AckError, AckSender},
    adapter::{FetchError, RemoteSocket},
    broadcast::Broadcast,
    event::Event,
    handlers::Refusal,
    namespace::Namespace,
    server::{Builder, WebSocketServer},
    socket::{EmitError, Socket},
};
