//! Presence: the online users, their status, and the recipients of changes.

mod change_index;
mod cluster_presence;
pub(crate) mod device;
mod known_users;
mod recipients;
pub(crate) mod server;
pub mod tracker;
