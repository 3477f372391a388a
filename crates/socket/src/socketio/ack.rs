//! Acknowledgements in both directions: answers to a client's event, and answers that the server expects
//! from clients.

use std::collections::HashMap;

use parking_lot::Mutex;
use roomful_wire::packet::Payload;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;

use super::{Socket, emit_error::EmitError};
use crate::{
    id::SocketId,
    outbox::{Class, Sent},
    prepared::Prepared,
};

/// Answers one event of a client. If dropped, the client runs into its own time-out.
#[derive(Debug)]
pub struct AckSender {
    pub(super) socket: Socket,
    pub(super) id: u64,
}

impl AckSender {
    /// Answers with one value.
    ///
    /// # Errors
    /// The value cannot be converted to JSON.
    pub fn send<T: Serialize + ?Sized>(self, value: &T) -> Result<Sent, EmitError> {
        match Prepared::ack_one(self.socket.namespace().name(), self.id, value) {
            Ok(answer) => Ok(self.socket.send_prepared(&answer, Class::Durable)),
            // Values with attachments need a payload.
            Err(_) => Ok(self.send_payload(&Payload::one(value)?)),
        }
    }

    /// Answers with the elements of a tuple.
    ///
    /// # Errors
    /// The values cannot be converted to JSON.
    pub fn send_args<T: Serialize + ?Sized>(self, args: &T) -> Result<Sent, EmitError> {
        Ok(self.send_payload(&Payload::args(args)?))
    }

    /// Answers with any number of values, including binary ones.
    pub fn send_payload(self, payload: &Payload) -> Sent {
        let answer = Prepared::ack(self.socket.namespace().name(), self.id, payload);
        self.socket.send_prepared(&answer, Class::Durable)
    }
}

/// Why no answer arrived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// The client did not answer in time.
    #[error("the client did not answer in time")]
    Timeout,
    /// The client left before it answered.
    #[error("the client left before it answered")]
    Disconnected,
    /// The client has `max_pending_acks` unanswered events; this one was not sent.
    #[error("the client owes too many answers; the event was not sent")]
    TooMany,
    /// The event could not be sent at all.
    #[error("the event could not be sent: its name is reserved or its data can't be JSON")]
    Unsendable,
    /// The client answered, but not with the expected type.
    #[error("the client's answer has another form: {0}")]
    Unreadable(String),
}

/// The first argument of an answer.
pub(super) fn decode<T: DeserializeOwned>(answer: &Payload) -> Result<T, AckError> {
    answer
        .arg(0)
        .map_err(|error| AckError::Unreadable(error.to_string()))
}

/// Receives the answers. All recipients of a broadcast share one channel with room for one answer each.
pub(super) type Answers = mpsc::Sender<(SocketId, Payload)>;

/// The answers expected from one client. The table is created with the first.
#[derive(Default)]
#[allow(clippy::box_collection)] // one pointer in each idle socket, not a whole empty map
pub(super) struct Pending(Mutex<Option<Box<HashMap<u64, Answers>>>>);

impl Pending {
    /// Registers an expected answer. `false` if too many are pending.
    pub(super) fn expect(&self, id: u64, answers: Answers, most: usize) -> bool {
        let mut table = self.0.lock();
        let table = table.get_or_insert_default();
        // An id in use is an older event of 2^30 or a coincidence between nodes: its caller still waits.
        if table.len() >= most || table.contains_key(&id) {
            return false;
        }
        table.insert(id, answers);
        true
    }

    /// Delivers an answer. Like the stock server, ignores one that is not expected, and returns `false`.
    pub(super) fn answer(&self, id: u64, from: SocketId, payload: Payload) -> bool {
        let Some(answers) = self.forget(id) else {
            return false;
        };
        // The channel has room for every recipient. If it is closed, its receiver has given up.
        let _ = answers.try_send((from, payload));
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_none()
    }

    pub(super) fn forget(&self, id: u64) -> Option<Answers> {
        let mut place = self.0.lock();
        let table = place.as_mut()?;
        let answers = table.remove(&id);
        if table.is_empty() {
            *place = None;
        }
        answers
    }

    /// Forgets all expected answers of a client that left, which notifies the waiting callers.
    pub(super) fn clear(&self) {
        *self.0.lock() = None;
    }
}
