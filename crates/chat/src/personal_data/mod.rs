//! Exports and erasures of users.

mod erasure;
mod export;

pub use self::erasure::Erased;
pub(crate) use self::{
    erasure::{erase, resume},
    export::Export,
};
