//! Engine.IO 4: packets, polling payloads and the open packet. Not here: frames (`frame`) and the content
//! of messages (`packet`).

mod open;
pub mod packet;
pub mod payload;
pub mod session;

pub use open::Open;
pub use packet::{Packet, PacketError};
