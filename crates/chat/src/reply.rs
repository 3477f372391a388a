//! The one answer to a client's event: through its ack callback, or as an `error` event if there is none.

use std::sync::Arc;

use roomful_socket::{AckSender, Socket};
use serde::Serialize;

use crate::{
    error::{ChatError, ErrorBody},
    events::connection::{AckError, AckOk, ERROR, ErrorEvent},
    metrics::Metrics,
};

/// How an event will be answered. It is answered once; dropped unanswered, it leaves the client to its time-out.
pub(crate) struct Reply {
    pub(crate) socket: Socket,
    pub(crate) event: Box<str>,
    pub(crate) ack: Option<AckSender>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Reply {
    /// `{ok: true, data}` to the callback, if there is one.
    pub(crate) fn succeed<T: Serialize>(self, data: &T) {
        let Some(ack) = self.ack else { return };
        if let Err(error) = ack.send(&AckOk::of(data)) {
            tracing::error!(event = ?self.event, %error, "an answer can't be encoded");
        }
    }

    /// `{ok: false, error}` to the callback, or an `error` event that names the event.
    pub(crate) fn fail(self, error: &ChatError) {
        self.metrics.error(error.code());
        match self.ack {
            Some(ack) => drop(ack.send(&AckError::of(error.body()))),
            None => emit_error(&self.socket, error.body(), Some(&self.event)),
        }
    }

    /// One of the two.
    pub(crate) fn with<T: Serialize>(self, outcome: &Result<T, ChatError>) {
        match outcome {
            Ok(data) => self.succeed(data),
            Err(error) => self.fail(error),
        }
    }
}

/// Emits `error` to a socket.
pub(crate) fn emit_error(socket: &Socket, error: ErrorBody, event: Option<&str>) {
    // An unknown event's name is the client's own text: it gets back no more than it takes to recognise it.
    let event = event.map(|name| name.get(..name.floor_char_boundary(64)).unwrap_or(name));
    drop(socket.emit(ERROR, &ErrorEvent { error, event }));
}
