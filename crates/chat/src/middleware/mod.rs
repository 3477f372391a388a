//! What stands before every handler: is anybody let in (`door`), who is it (`auth`), and is it too much (`rate_limit`).

pub(crate) mod admission;
pub mod auth;
pub(crate) mod connection_gate;
pub mod rate_limit;
