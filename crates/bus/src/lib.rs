//! What the nodes of a cluster tell each other: topics that may lose anything, and a roster of who is alive.
//!
//! The bus is never the truth. A message may come late, twice, out of order, or not at all; whoever listens has another
//! way to find out, and takes the message as a hint that makes it quick. The roster is the truth of who is alive, in its
//! own time, and of nothing that has to survive it: after a loss the members put in again what is theirs.
//!
//! | read | for |
//! |---|---|
//! | `bus` | the trait: topics and their listeners |
//! | `roster` | the trait: members with leases, and their entries |
//! | `memory` | both within one process: a server on one node, and clusters in tests |
//! | `redis` | both over Redis |
//! | `open`, `options` | from a URL to a bus |
//! | `contract` | what every bus has to pass (feature `contract`) |
//! | `faulty` | a bus that loses, repeats and reorders, for tests of those who rely on it (feature `contract`) |

mod bus;
#[cfg(feature = "contract")]
pub mod contract;
mod error;
#[cfg(feature = "contract")]
mod faulty;
mod memory;
mod open;
mod options;
mod redis;
mod roster;

pub use bus::{Bus, Listener, Subscription};
pub use error::BusError;
#[cfg(feature = "contract")]
pub use faulty::{Faults, FaultyBus};
pub use memory::Hub;
pub use open::{check, check_url, open};
pub use options::Options;
pub use roster::{Beat, Entry, MemberId, Roster, Swept};
