//! What stands before every handler: who is it (`auth`), and is it too much (`rate_limit`).

pub(crate) mod admission;
pub mod auth;
pub mod rate_limit;
