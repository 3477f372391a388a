//! Presence: who is online, what they show as, and who hears of changes.

pub(crate) mod cluster_presence;
pub(crate) mod recipients;
pub(crate) mod server;
mod status;
pub mod tracker;
