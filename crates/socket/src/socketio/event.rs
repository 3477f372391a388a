//! An event sent by a client.

use roomful_wire::packet::{ArgError, Payload};
use serde::de::DeserializeOwned;

use super::ack::AckSender;

/// An event as a handler receives it.
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

    /// Number of arguments.
    pub fn len(&self) -> usize {
        self.payload.len()
    }

    /// Whether there are no arguments.
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// Size of the arguments in bytes: the JSON and all attachments.
    pub fn size(&self) -> usize {
        self.payload.size()
    }

    /// Takes the ack, if the client asked for one and it was not taken before.
    pub fn take_ack(&mut self) -> Option<AckSender> {
        self.ack.take()
    }
}
