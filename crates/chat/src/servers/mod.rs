//! The parts of the product, each a server of its own on the shared transport.

mod audience;
pub(crate) mod chat;
pub(crate) mod elsewhere;
pub(crate) mod notification;
pub(crate) mod presence;
mod status;
