//! What the server answers over HTTP beside Socket.IO. `router` lists every route.

pub(crate) mod api;
pub(crate) mod assets;
pub(crate) mod client_address;
pub(crate) mod demo;
pub(crate) mod gate;
pub(crate) mod health;
pub(crate) mod metrics;
mod problem;
mod process;
pub(crate) mod router;

pub(crate) use problem::Problem;
