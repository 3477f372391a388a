//! One file per topic: what each command does, once it was decoded and let through.

pub(crate) mod change;
pub(crate) mod connection;
pub(crate) mod inbox;
pub(crate) mod membership;
pub(crate) mod message;
pub(crate) mod notification;
pub(crate) mod presence;
pub(crate) mod receipt;
pub(crate) mod sync;
pub(crate) mod typing;
