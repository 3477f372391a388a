//! The load generator: many raw WebSocket clients on one thread. Nothing here knows what is measured.

pub(crate) mod crowd;
pub(crate) mod dialect;
pub(crate) mod frame;
pub(crate) mod histogram;
pub(crate) mod stamp;
pub(crate) mod swarm;

mod connection;
