//! Appending: what all senders of this node ask for meanwhile goes together as one flight, one transaction of two trips.
//!
//! | file | what |
//! |---|---|
//! | `flight` | the queue, and the task that takes flights from it to the database |
//! | `load` | the first trip: the lock of the order, and all that deciding takes |
//! | `plan` | what is numbered how, what is refused, what changes; a pure value |
//! | `store` | the second trip: all that the plan writes, and the commit |

mod flight;
mod load;
mod plan;
mod store;

pub(super) use self::{
    flight::{Appender, Start},
    store::SWEEPS,
};
