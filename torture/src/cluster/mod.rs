//! The same crowd and the same laws over a cluster: several nodes on a real PostgreSQL and a real Redis.
//!
//! A device chooses a node for each connection. What may go wrong is more: nodes are killed and stopped, and so is what
//! stands behind them; lines between all of these are cut, slowed and made to lose messages. And there is more to hold
//! to: how soon everybody is up to date when something has healed, that nobody is taken to be there who is not or the
//! other way round, what it costs when everybody comes back at once, and that a log from an old backup is not taken for
//! the one that it was.

mod blow;
mod cut;
mod judge;
mod memory;
pub mod namespaces;
mod network;
mod nodes;
mod presence;
mod report;
mod run;
mod storm;

pub use self::blow::Blow;
pub use self::judge::HeldTo;
pub use self::network::{Dropped, Tcp};
pub use self::report::{Report, Storm};
pub use self::run::{CutBy, Options, run};
