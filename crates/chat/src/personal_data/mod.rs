//! Exports and erasures of users.

pub(crate) mod compaction;
mod erasure;
mod export;

pub use self::erasure::Erased;
pub(crate) use self::{
    erasure::{erase, resume},
    export::Export,
};
