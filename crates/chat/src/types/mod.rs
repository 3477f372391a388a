//! The nouns of the product: names that were checked, who a token speaks for, what a message is.

mod claims;
mod limits;
mod message;
mod room_name;

pub use claims::{Claims, RoomPattern};
pub use limits::Limits;
pub use message::{Change, Draft, MAX_SEQ};
pub use room_name::RoomName;
