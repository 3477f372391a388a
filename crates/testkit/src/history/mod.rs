//! Histories of clients, and a checker of their invariants under faults.
//!
//! A history consists of operations and their outcomes, deliveries, and the log as read back ([`event`]).
//! Many clients share a [`Recorder`]. The [`Checker`] is a pure value: it does no I/O and knows no
//! protocol, so tests can feed it histories made by hand. The torture program provides clients and
//! faults.
//!
//! The checker takes a history in parts and keeps only what later parts need, so that a million messages
//! fit. An operation with an unknown outcome may have happened or not, but not twice, and not for one
//! client only.

mod checker;
mod event;
mod ledger;
mod marks;
mod notices;
mod recorder;
mod rooms;
#[cfg(test)]
mod tests;
mod views;
mod violation;

pub use self::checker::Checker;
pub use self::event::{
    Audit, Changed, Content, Event, Joined, Logged, Mark, MarkEvent, MarkKind, Name, Outcome, Page, Seen,
    Sent, Stored, What,
};
pub use self::recorder::Recorder;
pub use self::violation::Violation;
