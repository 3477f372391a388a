//! The handlers of decoded and authorised commands, one file per topic.

pub(crate) mod blocks;
pub(crate) mod change;
pub(crate) mod connection;
pub(crate) mod inbox;
pub(crate) mod members;
pub(crate) mod membership;
pub(crate) mod message;
pub(crate) mod moderation;
pub(crate) mod notification;
pub(crate) mod presence;
pub(crate) mod profile;
pub(crate) mod receipt;
pub(crate) mod reports;
pub(crate) mod sync;
pub(crate) mod typing;
