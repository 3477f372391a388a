//! An event that a client sent.

use roomful_wire::packet::{ArgError, Payload};
use serde::de::DeserializeOwned;

use super::ack::AckSender;

/// An event as a handler gets it.
#[derive(Debug)]
pub struct Event {
    /// The event's name; never a reserved one.
    pub name: Box<str>,
    /// Its arguments.
    pub payload: Payload,
    pub(super) ack: Option<AckSender>,
}

impl Event {
    /// Argument `index`, from 0, as a `T`.
    pub fn arg<T: DeserializeOwned>(&self, index: usize) -> Result<T, ArgError> {
        self.payload.arg(index)
    }

    /// How many arguments there are.
    pub fn len(&self) -> usize {
        self.payload.len()
    }

    /// Has it no arguments?
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// The way to answer, if the client asked for an answer and it was not taken before.
    pub fn take_ack(&mut self) -> Option<AckSender> {
        self.ack.take()
    }
}
