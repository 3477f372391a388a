//! Chat and presence on roomful-socket and roomful-store: the rules of the product.
//!
//! ```no_run
//! # use std::sync::Arc;
//! use roomful_chat::{ChatConfig, ChatServer};
//! use roomful_socket::WebSocketServer;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let store = roomful_store::open("sqlite:./data/roomful.db", roomful_store::Options::default())?;
//! let config = ChatConfig::with_secret(b"a secret of thirty-two bytes or more")?;
//! let server = WebSocketServer::builder().cors(["https://yourdomain.com"]).build();
//! let chat = ChatServer::attach(&server, store, config);
//! let app: axum::Router = server.router();
//! # Ok(())
//! # }
//! ```
//!
//! The way of an event: `controller` (the checks that all events share) -> `handlers` -> `log` (commit,
//! delivery in log order) -> `reply`. Only `events` knows the names of events and their JSON. The rules are
//! pure values (`presence::tracker`, `typing::tracker`, `notifications::tracker`, `room::subscribers`,
//! `log::reorder_buffer`, `middleware::auth`), the servers the shells around them.

/// The Rust code of the project's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

pub mod admin;
mod alarm;
mod app;
mod audit;
pub mod clock;
mod closing;
mod cluster;
mod config;
mod connection_list;
mod connection_log;
mod connections;
mod content_rules;
mod controller;
mod deadlines;
mod detached;
mod error;
mod events;
mod faults;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handlers;
mod hooks;
mod keyed_mutex;
mod lifecycle;
mod log;
mod message_rate;
mod metrics;
pub mod middleware;
mod moderation;
mod notifications;
mod outage_log;
mod personal_data;
pub mod presence;
mod profiles;
mod recovery;
mod reply;
mod room;
mod room_manager;
mod server;
mod session;
mod standing;
mod stats;
mod stats_history;
pub mod types;
pub mod typing;
mod unread;

pub use cluster::ClusterConfig;
pub use config::{ChatConfig, RecoveryConfig};
pub use content_rules::{ContentRule, ContentRules, RuleAction};
pub use error::{ChatError, ErrorBody, ErrorCode};
pub use events::{contract, presence::Status, webhook};
pub use hooks::{
    HookCircuit, HookError, HookEvent, HookState, Hooks, Question, QuestionedMessage, Replacement, Verdict,
};
pub use message_rate::PerSecond;
pub use metrics::Messages;
pub use middleware::{
    auth::{KeyTable, TokenAlgorithm, VerifyKey},
    issuer::{ClaimName, ClaimNames, Issuer, IssuerKeys, KeysUnavailable},
    key_set::{KeySet, KeySetError},
    rate_limit::{Rate, RateLimits},
};
pub use server::ChatServer;
pub use stats::{NodeStats, Stats};
pub use stats_history::StatsSample;
pub use types::{Limits, Metadata, Notified, Notify, Profile, RoomPattern, Visibility};
pub use typing::tracker::TypingLimits;
