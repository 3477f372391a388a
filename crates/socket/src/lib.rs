#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! | for | see |
//! |---|---|
//! | building and mounting a server | [`WebSocketServer`], [`Builder`], [`Settings`] |
//! | handlers, middleware, broadcasts | [`Namespace`], [`Broadcast`] |
//! | one client | [`Socket`], [`Event`], [`AckSender`], [`Handshake`] |
//! | arguments, also binary | [`Payload`], [`Binary`] |
//! | HTTP with limits and deadlines | [`serve`], [`HttpLimits`] |
//! | who may connect | [`Cors`], [`WebSocketServer::allow_request`], [`Namespace::use_middleware`] |
//! | clients that return | [`RecoveryLimits`], [`Recovery`] |
//! | Engine.IO without Socket.IO | [`engine`] |

mod accept;
#[cfg(feature = "cluster")]
pub mod cluster;
mod connection_limit;
mod cookie;
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
mod reserve;
mod settings;
mod socketio;
mod throttled_log;
#[cfg(feature = "tls")]
mod tls;
mod transfer_deadline;

pub use roomful_wire::packet::{ArgError, Binary, Payload};

#[cfg(feature = "tls")]
pub use crate::tls::Tls;
pub use crate::{
    accept::{HttpLimits, serve},
    connection_limit::{ConnectionLimits, client_network},
    cookie::{SameSite, SessionCookie},
    cors::{Cors, ForwardedHost},
    drain::{Drain, Drained},
    engine::{DeliveryMark, SocketService},
    handshake::{ClientAddress, ClientKind, Handshake},
    id::{SessionId, SocketId},
    outbox::{Class, Sent},
    prepared::Prepared,
    reason::Reason,
    settings::Settings,
    socketio::{
        AckError, AckSender, Broadcast, Builder, EmitError, Event, FetchError, Joined, Namespace, PrivateId,
        Recovery, RecoveryLimits, RecoveryRequest, Refusal, RemoteSocket, Restored, Restoring, ServerEvent,
        Socket, WebSocketServer,
    },
    transfer_deadline::TooSlow,
};
