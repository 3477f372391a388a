//! Typing indicators: the rules as a value and the server that broadcasts the changes.

pub(crate) mod server;
pub mod tracker;
