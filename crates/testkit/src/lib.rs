//! Raw stock-protocol client and server fixtures for tests and benchmarks.
//!
//! Lives here: a client side of RFC 6455, Engine.IO 4 and Socket.IO 5 written from the protocol documents alone, a
//! minimal HTTP/1.1 client that can also misbehave, a fixture that runs the real server binary on a temporary data
//! folder, others that run a real Redis, a Sentinel, a Redis Cluster and a PostgreSQL, a TCP proxy that hurts, one
//! before Redis that loses messages, a checker of histories, and a minter of tokens. Does not live here: any code shared
//! with the server. What is tested and what tests it must not agree on the same mistake, so this crate depends on no
//! other crate of the workspace.
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

/// How long a fixture waits for something that must happen before it says that it did not.
///
/// Generous, because it is only ever spent by a test that fails: a passing test goes on at the event itself.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
