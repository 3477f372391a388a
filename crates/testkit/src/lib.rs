//! Protocol clients, server fixtures and a history checker for tests and benchmarks.
//!
//! The clients for RFC 6455, Engine.IO 4 and Socket.IO 5 are written from the protocol documents alone.
//! An HTTP/1.1 client can also send malformed requests. Fixtures run the real server binary, Redis,
//! Sentinel, Redis Cluster and PostgreSQL in temporary folders. Two proxies inject faults: one into any
//! TCP connection, one into the messages of Redis. The crate also signs tokens.
//!
//! The crate depends on no other crate of the workspace: test and server must not share a mistake. Only the
//! feature `store` adds one, a store with hooks around another store.
//!
//! ```no_run
//! # async fn example() -> Result<(), roomful_testkit::Error> {
//! use roomful_testkit::{ServerProcess, SioClient, token};
//! use serde_json::json;
//!
//! let server = ServerProcess::start().await?;
//! let auth = json!({ "token": token::for_user(server.secret(), "alice") });
//! let alice = SioClient::connect(server.addr(), "/", &auth).await?;
//! let ack = alice.call("chat:join", &json!({ "room": "lobby" })).await?;
//! assert_eq!(ack["ok"], true);
//! # Ok(())
//! # }
//! ```

pub mod error;
pub mod frame;
pub mod history;
#[cfg(feature = "store")]
pub mod hooked_store;
pub mod http;
pub mod lossy_redis;
pub mod packet;
pub mod polling;
pub mod ports;
pub mod postgres;
pub mod proxy;
pub mod redis;
pub mod redis_cluster;
pub mod resp;
pub mod sentinel;
pub mod server;
pub mod session;
pub mod sio;
pub mod token;
pub mod usage;
pub mod ws;

pub use error::Error;
#[cfg(feature = "store")]
pub use hooked_store::HookedStore;
pub use lossy_redis::LossyRedis;
pub use polling::PollingSession;
pub use postgres::PostgresServer;
pub use redis::RedisServer;
pub use redis_cluster::RedisCluster;
pub use sentinel::Sentinel;
pub use server::ServerProcess;
pub use session::Session;
pub use sio::SioClient;
pub use ws::WsClient;

/// Time limit of fixtures for an expected event.
///
/// It is generous, because only a failing test waits that long.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
