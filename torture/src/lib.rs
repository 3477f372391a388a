//! Breaks a running Roomful in every way it can, and checks that nothing was lost and nothing came twice.
//!
//! A [`crowd`] of stock-protocol clients, several devices a user, talks in several rooms through proxies that hurt. In
//! each round a lesser [`blow`](nemesis) falls, then the server is killed with SIGKILL and started again on the same
//! data; everybody comes back by themselves and tries again what had no answer. When all is quiet the log is read back
//! and the whole history is held to the laws of [`roomful_testkit::history`].
//!
//! The seed decides who does what and which blow falls when. It does not decide how the machine interleaves it: a
//! fault that a seed has found is likely to be found again with it, not certain.

mod answer;
pub mod cluster;
mod crowd;
mod device;
mod disk;
mod error;
mod log_reader;
mod nemesis;
mod place;
mod poster;
mod report;
mod run;
mod stage;

pub use self::error::TortureError;
pub use self::nemesis::Blow;
pub use self::report::Report;
pub use self::run::{Options, run};
