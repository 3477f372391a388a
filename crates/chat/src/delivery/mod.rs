//! What others are told outside of the sockets: happenings that leave no entry in a log, and messages that did not reach
//! a member. The records are the store's; the posts are made by whoever drains its outbox.

pub(crate) mod happenings;
pub(crate) mod undelivered;
