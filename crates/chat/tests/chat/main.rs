//! Chat end to end: a real transport, a real store, real sockets, and a clock that only the test moves.

#![allow(
    clippy::unwrap_used,
    clippy::missing_docs_in_private_items,
    reason = "tests and their fixture"
)]

mod fixture;
mod flaky;

mod admin;
mod blocks;
mod changes;
mod cluster;
mod connection;
mod content_rules;
mod hooks;
mod inbox;
mod limits;
mod lists;
mod messages;
mod moderation;
mod notifications;
mod order;
mod presence;
mod prices;
mod profiles;
mod recovery;
mod recovery_limit;
mod reports;
mod slow_readers;
mod store_calls;
mod typing;
mod unread;
mod visibility;
mod wall_clock;
