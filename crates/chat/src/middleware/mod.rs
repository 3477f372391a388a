//! Middleware before every handler: the connection gate, authentication and rate limits.

pub(crate) mod admission;
pub mod auth;
pub(crate) mod connection_gate;
pub mod issuer;
pub mod key_set;
pub(crate) mod price;
pub mod rate_limit;
mod signature;
