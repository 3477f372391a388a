//! Appends in PostgreSQL: everything that the senders of this node have queued goes into one transaction of
//! two round trips.
//!
//! | file | what |
//! |---|---|
//! | `appender` | what commits a batch of appends |
//! | `load` | the first round trip: the locks, and the rows that the batch touches |
//! | `write` | the second round trip: what the plan writes, and the commit |
//!
//! What a batch does is decided in [`crate::append`].

mod appender;
mod load;
mod write;

pub(super) use self::appender::{Appender, Start};
