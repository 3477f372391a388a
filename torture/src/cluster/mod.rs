//! The same clients and laws over a cluster: several nodes on a real PostgreSQL and a real Redis.
//!
//! A device chooses a node for each connection. There are more faults: nodes, Redis and PostgreSQL are
//! killed and frozen; connections between all of them are cut, slowed and made lossy. There are more
//! checks: how soon all clients are up to date after a heal, that nobody is wrongly shown as online or
//! offline, the cost of a reconnect storm, and that clients notice a log from an old backup.

mod cut;
mod fault;
mod limits;
mod memory;
pub mod namespaces;
mod network;
mod nodes;
mod presence;
mod report;
mod run;
mod storm;

pub use self::fault::Fault;
pub use self::limits::Strictness;
pub use self::network::{Dropped, Tcp};
pub use self::report::{Report, Storm};
pub use self::run::{CutBy, Options, run};
