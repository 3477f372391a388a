//! What clients did and what they saw, and the laws that it must obey, whatever went wrong meanwhile.
//!
//! Lives here: the vocabulary of a history ([`event`]), a [`Recorder`] that many clients share, and a [`Checker`], which
//! is a value: it does no I/O, knows no protocol and can be given a history made by hand. Does not live here: who the
//! clients are, and what goes wrong; that is the torture program's.
//!
//! A history is checked in parts. The checker keeps what later parts need and no more, so that a million messages fit.
//! It holds a server to nothing that was left open: an operation whose outcome is unknown may have happened or not, but
//! not twice, and not in one client's eyes only.

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
    Audit, Changed, Content, Event, Heard, Joined, Logged, Mark, MarkKind, Name, Outcome, Page, Seen, Sent,
    Stored, What,
};
pub use self::recorder::Recorder;
pub use self::violation::Violation;
