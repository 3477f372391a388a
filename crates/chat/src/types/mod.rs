//! The nouns of the product: validated names, claims, limits, and the content of messages and notifications.

mod claims;
mod compact_json;
mod limits;
mod message;
pub mod names;
mod notification;
mod numbers;
mod profile;
mod room_name;
mod shown;
mod user_id;

pub use claims::{Claims, RoomPattern, Visibility};
pub(crate) use compact_json::compact;
pub use limits::Limits;
pub use message::{Change, Draft, MAX_SEQ, Metadata};
pub(crate) use names::is_ignorable;
pub(crate) use notification::Notice;
pub use notification::{Notified, Notify};
pub use numbers::whole_number;
pub use profile::Profile;
pub use room_name::RoomName;
pub(crate) use shown::Shown;
pub use user_id::UserId;
