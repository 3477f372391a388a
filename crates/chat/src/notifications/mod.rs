//! Notifications: posting them, delivering them to each device, and saving how far each device is.

mod delivered_marks;
mod posting;
pub(crate) mod server;
pub(crate) mod tracker;
