//! Breaks a running Roomful in many ways, and checks that nothing is lost or duplicated.
//!
//! A [`client_pool`] of stock-protocol clients, several devices per user, chats in several rooms through
//! faulty proxies. Each round injects a [`fault`](nemesis), then kills the server with SIGKILL and restarts
//! it on the same data. All clients reconnect by themselves and resend unanswered requests. When all is
//! quiet, the run reads the log back and checks the whole history against the laws of
//! [`roomful_testkit::history`]. Beside that, in a room of its own, the backend bans, mutes and erases users
//! and rotates keys: [`moderation`] has the laws of it. Devices that run the client package do the same in
//! rooms of theirs: [`package`].
//!
//! The seed decides who does what, and the order of faults. It does not decide how the machine interleaves
//! them: a seed that found a bug is likely, not certain, to find it again.

mod answer;
mod client_pool;
pub mod cluster;
mod device;
mod disk;
mod error;
mod log_reader;
pub mod moderation;
mod nemesis;
pub mod overload;
pub mod package;
mod poster;
mod report;
mod room_progress;
mod run;
mod run_state;

pub use self::error::TortureError;
pub use self::nemesis::Fault;
pub use self::report::Report;
pub use self::run::{Options, run};
