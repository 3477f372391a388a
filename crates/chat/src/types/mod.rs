//! The nouns of the product: names that were checked, who a token speaks for, what a message is.

mod claims;
mod limits;
mod message;
mod notification;
mod room_name;
mod shown;
mod user_id;

pub use claims::{Claims, RoomPattern};
pub use limits::Limits;
pub use message::{Change, Draft, MAX_SEQ};
pub(crate) use notification::Notice;
pub use notification::{Notified, Notify};
pub use room_name::RoomName;
pub(crate) use shown::Shown;
pub use user_id::UserId;
