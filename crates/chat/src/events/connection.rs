//! The events of the connection itself: `session`, `error`, `token:refresh`, and the shape of every ack.

use serde::Serialize;
use serde_json::Value;

use super::fields::Fields;
use crate::error::{ChatError, ErrorBody};

pub(crate) const DRAINING: &str = "server:draining";
pub(crate) const SESSION: &str = "session";
pub(crate) const ERROR: &str = "error";
pub(crate) const TOKEN_REFRESH: &str = "token:refresh";

/// The longest message of a client's `error` that is looked at, in characters.
const ERROR_CHARS: usize = 500;

/// `token:refresh {token}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RefreshToken {
    pub(crate) token: String,
}

impl RefreshToken {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, ChatError> {
        match fields.take("token") {
            Some(Value::String(token)) => Ok(Self { token }),
            _ => Err(fields.wrong("token", "is required: a JWT as a string")),
        }
    }
}

/// A client's own `error {message}`, cut to what a log line can bear.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClientError {
    pub(crate) message: String,
}

impl ClientError {
    pub(super) fn read(fields: &mut Fields) -> Self {
        let message = match fields.take("message") {
            Some(Value::String(message)) => message,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        Self {
            message: message.chars().take(ERROR_CHARS).collect(),
        }
    }
}

/// `session`: the first event of every connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionBegan<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) session_id: &'a str,
    pub(crate) recovered: bool,
    pub(crate) server_time: i64,
    pub(crate) limits: SessionLimits,
}

/// What a client may do, as `session` tells it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionLimits {
    /// The longest text of a message, in bytes.
    pub(crate) text_bytes: usize,
    /// The largest `metadata`, in bytes of JSON.
    pub(crate) metadata_bytes: usize,
    /// The most mentions of a message.
    pub(crate) mentions: usize,
    /// The most rooms this connection may be in.
    pub(crate) rooms: usize,
    /// The most messages of a page.
    pub(crate) page: u32,
    /// Events a second in the long run; `null` without rate limits.
    pub(crate) events_per_second: Option<u32>,
    /// Events at once after a pause; `null` without rate limits.
    pub(crate) event_burst: Option<u32>,
}

/// The ack of `token:refresh`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refreshed {
    pub(crate) expires_at: i64,
}

/// `error`: a failure that had no callback to go to, or the reason of a close.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorEvent<'a> {
    #[serde(flatten)]
    pub(crate) error: ErrorBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<&'a str>,
}

/// `{ok: true, data}`.
#[derive(Debug, Serialize)]
pub(crate) struct AckOk<T> {
    ok: bool,
    data: T,
}

impl<T> AckOk<T> {
    pub(crate) const fn of(data: T) -> Self {
        Self { ok: true, data }
    }
}

/// `{ok: false, error}`.
#[derive(Debug, Serialize)]
pub(crate) struct AckError {
    ok: bool,
    error: ErrorBody,
}

impl AckError {
    pub(crate) const fn of(error: ErrorBody) -> Self {
        Self { ok: false, error }
    }
}

/// The ack data of events that have nothing to tell: `{}`.
#[derive(Debug, Serialize)]
pub(crate) struct Nothing {}

/// `server:draining {retryAfterMs}`: the connection is about to end, since this server is going down.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Draining {
    /// When to come back at the earliest. The stock client waits about so long by itself.
    pub(crate) retry_after_ms: u32,
}
