//! The path of an entry: from a send through the commit to delivery in log order.

pub(crate) mod control;
pub(crate) mod delivery_budget;
mod follower;
pub(crate) mod pending;
pub(crate) mod pipeline;
pub(crate) mod position;
pub(crate) mod reorder_buffer;
pub(crate) mod view;
