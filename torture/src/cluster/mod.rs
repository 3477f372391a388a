//! The same clients and laws over a cluster: several nodes on a real PostgreSQL and a real Redis.
//!
//! A device chooses a node for each connection. There are more faults: the nemesis kills and freezes nodes,
//! Redis and PostgreSQL, and cuts and slows the connections between all of them and drops their packets.
//! There are more checks: how soon all clients are up to date after a heal, that presence shows no user
//! wrongly, the cost of a reconnect storm, and that clients notice a log from an old backup.

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
