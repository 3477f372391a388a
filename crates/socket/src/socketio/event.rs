//! An event sent by a client.

use std::sync::Arc;

use parking_lot::Mutex;
use roomful_wire::packet::{ArgError, Payload};
use serde::de::DeserializeOwned;

use super::ack::AckSender;

/// An event as a handler receives it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Event {
    /// The event's name; never a reserved one.
    pub name: Box<str>,
    /// Its arguments.
    pub payload: Payload,
    ack: Ack,
}

/// The ack of an event. It has one answer, even if several handlers get the event.
#[derive(Debug)]
enum Ack {
    Own(Option<AckSender>),
    Shared(Arc<Mutex<Option<AckSender>>>),
}

impl Event {
    pub(super) fn new(name: Box<str>, payload: Payload, ack: Option<AckSender>) -> Self {
        Event {
            name,
            payload,
            ack: Ack::Own(ack),
        }
    }

    /// Argument `index`, from 0, as a `T`. [`Binary`](crate::Binary) values in it are the attachments.
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
        match &mut self.ack {
            Ack::Own(ack) => ack.take(),
            Ack::Shared(ack) => ack.lock().take(),
        }
    }

    /// The same event for another handler. The first that takes the ack answers.
    pub(super) fn share(&mut self) -> Event {
        let shared = match &mut self.ack {
            Ack::Own(ack) => Arc::new(Mutex::new(ack.take())),
            Ack::Shared(ack) => Arc::clone(ack),
        };
        self.ack = Ack::Shared(Arc::clone(&shared));
        Event {
            name: self.name.clone(),
            payload: self.payload.clone(),
            ack: Ack::Shared(shared),
        }
    }
}
