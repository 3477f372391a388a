//! The answer to one request: a client's ack, an `error` event if the client gave no callback, or a result
//! for a caller in this process.

use std::sync::Arc;

use roomful_socket::{AckSender, Event, Socket};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    error::{ChatError, ErrorBody},
    events::connection::{AckError, AckOk, ERROR, ErrorEvent},
    metrics::Metrics,
};

/// The result for a caller in this process: the data of an ack.
pub(crate) type Answer = Result<Box<RawValue>, ChatError>;

/// The route back to the requester. Consumed by the answer; if dropped without one, the client's ack times
/// out.
pub(crate) struct Reply {
    to: To,
    /// Runs right before a success is sent.
    on_success: Option<Box<dyn FnOnce() + Send + Sync>>,
    metrics: Arc<Metrics>,
    started: Instant,
}

enum To {
    Client {
        socket: Socket,
        event: Box<str>,
        /// The event's size.
        bytes: usize,
        ack: Option<AckSender>,
    },
    Caller(oneshot::Sender<Answer>),
}

impl Reply {
    /// Answers a client that sent `event`.
    pub(crate) fn to_client(socket: Socket, event: &mut Event, metrics: Arc<Metrics>) -> Self {
        let to = To::Client {
            socket,
            event: event.name.clone(),
            bytes: event.size(),
            ack: event.take_ack(),
        };
        let started = Instant::now();
        Self {
            to,
            on_success: None,
            metrics,
            started,
        }
    }

    /// Runs `action` right before a success is sent.
    pub(crate) fn on_success(self, action: impl FnOnce() + Send + Sync + 'static) -> Self {
        let on_success: Option<Box<dyn FnOnce() + Send + Sync>> = Some(Box::new(action));
        Self { on_success, ..self }
    }

    /// Answers a caller in this process, who awaits the receiver.
    pub(crate) fn to_caller(metrics: Arc<Metrics>) -> (Self, oneshot::Receiver<Answer>) {
        let (caller, answer) = oneshot::channel();
        let to = To::Caller(caller);
        let started = Instant::now();
        let reply = Self {
            to,
            on_success: None,
            metrics,
            started,
        };
        (reply, answer)
    }

    /// Sends `{ok: true, data}`. Does nothing if the client gave no callback.
    pub(crate) fn succeed<T: Serialize>(self, data: &T) {
        if let Some(action) = self.on_success {
            action();
        }
        match self.to {
            To::Client { ack: None, .. } => {}
            To::Client {
                ack: Some(ack),
                event,
                ..
            } => {
                self.metrics.ack_seconds.record(self.started.elapsed());
                if let Err(error) = ack.send(&AckOk::of(data)) {
                    tracing::error!(event = ?event, %error, "failed to encode an answer");
                }
            }
            To::Caller(caller) => {
                let answer = to_raw_value(data).map_err(|error| {
                    tracing::error!(%error, "failed to encode an answer");
                    ChatError::Internal
                });
                // The caller may have dropped its receiver.
                drop(caller.send(answer));
            }
        }
    }

    /// Sends `{ok: false, error}`, or an `error` event that names the request's event. If the client is at
    /// fault, this counts as a refusal, and too many close the connection.
    pub(crate) fn fail(self, error: &ChatError) {
        self.metrics.error(error.code());
        match self.to {
            To::Client {
                socket,
                event,
                bytes,
                ack,
            } => {
                match ack {
                    Some(ack) => drop(ack.send(&AckError::of(error.body()))),
                    None => emit_error(&socket, error.body(), Some(&event)),
                }
                if error.is_clients_fault() {
                    socket.count_refused(bytes);
                }
            }
            To::Caller(caller) => drop(caller.send(Err(error.clone()))),
        }
    }

    /// Sends either result.
    pub(crate) fn with<T: Serialize>(self, outcome: &Result<T, ChatError>) {
        match outcome {
            Ok(data) => self.succeed(data),
            Err(error) => self.fail(error),
        }
    }
}

/// Emits an `error` event to a socket.
pub(crate) fn emit_error(socket: &Socket, error: ErrorBody, event: Option<&str>) {
    // The name of an unknown event is client text, so echo only a recognisable prefix.
    let event = event.map(|name| name.get(..name.floor_char_boundary(64)).unwrap_or(name));
    drop(socket.emit(ERROR, &ErrorEvent { error, event }));
}
