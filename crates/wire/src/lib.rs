#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! | module | from | to |
//! |---|---|---|
//! | [`frame`] | bytes of a WebSocket connection | messages |
//! | [`engine`] | a WebSocket message or a polling body | Engine.IO packets |
//! | [`parser`], [`packet`] | the content of Engine.IO messages | Socket.IO packets, and back |
//!
//! Everything here is a pure value: nothing waits and nothing reads a clock. All input is untrusted. A
//! decoder reports malformed input as a typed error, never as a panic, and stays within its `Limits`.

pub mod engine;
pub mod frame;
pub mod packet;
pub mod parser;
