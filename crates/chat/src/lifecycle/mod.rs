//! Events for the outbox that leave no entry in a log: users come online and go offline, rooms empty, and
//! messages stay undelivered.

pub(crate) mod events;
pub(crate) mod online_users;
pub(crate) mod undelivered;
