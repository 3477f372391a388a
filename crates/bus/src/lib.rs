#![doc = include_str!("../README.md")]
//!
//! # Guarantees
//!
//! The bus is never the source of truth for messages. It may delay, repeat, reorder or lose them. A
//! listener needs another way to catch up and treats a message as a hint that saves time. Membership is
//! the source of truth for one thing only: which nodes are alive. It keeps nothing that has to survive;
//! after a loss each member writes its entries again.
//!
//! | read | for |
//! |---|---|
//! | `bus` | the trait: topics and their listeners |
//! | `membership` | the trait: members with leases, and their entries |
//! | `memory` | both within one process: a server on one node, and clusters in tests |
//! | `redis` | both over Redis (feature `redis`) |
//! | `open`, `options` | from a URL to a bus (feature `redis`) |
//! | `contract` | the test suite for every bus (feature `contract`) |
//! | `faulty` | a bus that loses, repeats and reorders messages, for tests (feature `contract`) |

mod bus;
#[cfg(feature = "contract")]
pub mod contract;
mod error;
#[cfg(feature = "contract")]
mod faulty;
mod membership;
mod memory;
#[cfg(feature = "redis")]
mod open;
#[cfg(feature = "redis")]
mod options;
#[cfg(feature = "redis")]
mod redis;

pub use bus::{Bus, BusListener, Subscription};
pub use error::BusError;
#[cfg(feature = "contract")]
pub use faulty::{Faults, FaultyBus};
pub use membership::{Entry, ExpiredEntry, Heartbeat, MemberId, Membership};
pub use memory::Hub;
#[cfg(feature = "redis")]
pub use open::{check, check_url, open};
#[cfg(feature = "redis")]
pub use options::Options;
