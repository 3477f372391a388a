//! Engine.IO 4: packets, polling payloads, the open packet. Not here: frames (`frame`), what a message says (`packet`).

mod open;
pub mod packet;
pub mod payload;
pub mod session;

pub use open::Open;
pub use packet::{Packet, PacketError};
