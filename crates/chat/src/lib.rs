//! Chat and presence on roomful-socket and roomful-store: the rules of the product.

#![allow(dead_code)]
pub mod clock;
mod deadlines;
mod error;
mod events;
pub mod middleware;
pub mod presence_tracker;
pub mod types;
pub mod typing_tracker;

pub use error::{ChatError, ErrorBody, ErrorCode};
