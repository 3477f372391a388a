//! The one answer to what was asked: through a client's ack callback, as an `error` event if there is none, or to a
//! caller in this process.

use std::sync::Arc;

use roomful_socket::{AckSender, Socket};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::oneshot;

use crate::{
    error::{ChatError, ErrorBody},
    events::connection::{AckError, AckOk, ERROR, ErrorEvent},
    metrics::Metrics,
};

/// What a caller in this process is answered: the data of an ack.
pub(crate) type Answer = Result<Box<RawValue>, ChatError>;

/// How something will be answered. It is answered once; dropped unanswered, it leaves a client to its time-out.
pub(crate) struct Reply {
    to: To,
    metrics: Arc<Metrics>,
}

enum To {
    Client {
        socket: Socket,
        event: Box<str>,
        ack: Option<AckSender>,
    },
    Caller(oneshot::Sender<Answer>),
}

impl Reply {
    /// To a client that sent `event`.
    pub(crate) fn to_client(
        socket: Socket,
        event: Box<str>,
        ack: Option<AckSender>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let to = To::Client { socket, event, ack };
        Self { to, metrics }
    }

    /// To whoever waits for it here.
    pub(crate) fn to_caller(metrics: Arc<Metrics>) -> (Self, oneshot::Receiver<Answer>) {
        let (caller, answer) = oneshot::channel();
        let to = To::Caller(caller);
        (Self { to, metrics }, answer)
    }

    /// `{ok: true, data}` to the callback, if there is one.
    pub(crate) fn succeed<T: Serialize>(self, data: &T) {
        match self.to {
            To::Client { ack: None, .. } => {}
            To::Client {
                ack: Some(ack),
                event,
                ..
            } => {
                if let Err(error) = ack.send(&AckOk::of(data)) {
                    tracing::error!(event = ?event, %error, "an answer can't be encoded");
                }
            }
            To::Caller(caller) => {
                let answer = to_raw_value(data).map_err(|error| {
                    tracing::error!(%error, "an answer can't be encoded");
                    ChatError::Internal
                });
                // The caller may have gone.
                drop(caller.send(answer));
            }
        }
    }

    /// `{ok: false, error}` to the callback, or an `error` event that names the event.
    pub(crate) fn fail(self, error: &ChatError) {
        self.metrics.error(error.code());
        match self.to {
            To::Client { ack: Some(ack), .. } => drop(ack.send(&AckError::of(error.body()))),
            To::Client {
                ack: None,
                socket,
                event,
            } => emit_error(&socket, error.body(), Some(&event)),
            To::Caller(caller) => drop(caller.send(Err(error.clone()))),
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
