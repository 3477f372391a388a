//! The load generator: many raw WebSocket clients on one thread. It does not know the workload.

pub(crate) mod client_pool;
pub(crate) mod connected_clients;
pub(crate) mod dialect;
pub(crate) mod frame;
pub(crate) mod histogram;
pub(crate) mod stamp;

mod connection;
