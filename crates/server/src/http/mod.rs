//! HTTP routes of the process: probes, metrics, API, sign-in of dev mode, chat page. `router` lists them all.

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
