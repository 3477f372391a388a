//! HTTP routes of the process: probes, metrics, API, sign-in of dev mode, chat page, console. `router` lists
//! them all.

mod address_limit;
pub(crate) mod api;
pub(crate) mod assets;
mod bearer;
pub(crate) mod client_address;
mod client_script;
pub(crate) mod demo;
pub(crate) mod gate;
pub(crate) mod health;
mod host;
pub(crate) mod listener;
pub(crate) mod metrics;
mod problem;
mod process;
pub(crate) mod router;
pub(crate) mod tls;

pub(crate) use address_limit::AddressLimit;
pub(crate) use problem::Problem;
