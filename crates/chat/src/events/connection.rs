//! The events of the connection: `session`, `error`, `token:refresh`, `server:draining`, and the shape of
//! every ack.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{fields::Fields, shapes};
use crate::error::{ChatError, ErrorBody};

pub(crate) const DRAINING: &str = "server:draining";
pub(crate) const SESSION: &str = "session";
pub(crate) const ERROR: &str = "error";
pub(crate) const SESSION_PING: &str = "session:ping";
pub(crate) const SESSION_ENDED: &str = "session:ended";
pub(crate) const TOKEN_REFRESH: &str = "token:refresh";
pub(crate) const TOKEN_EXPIRING: &str = "token:expiring";

/// The longest part of a client's `error` message that the server logs, in characters.
const ERROR_CHARS: usize = 500;

/// `token:refresh {token}`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
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

/// A client's own `error {message}`, truncated for the log.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
pub(crate) struct ClientError {
    #[schemars(with = "Option<shapes::AnyValue>")]
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
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionBegan<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) session_id: &'a str,
    pub(crate) recovered: bool,
    pub(crate) server_time: i64,
    /// The end of the token, in milliseconds since 1970.
    pub(crate) expires_at: i64,
    pub(crate) limits: SessionLimits,
}

/// The ack of `token:refresh`, and `token:expiring`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenExpires {
    /// The end of the token, in milliseconds since 1970.
    pub(crate) expires_at: i64,
}

/// The ack of `session:ping`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pong {
    pub(crate) server_time: i64,
}

/// `session:ended`: the last event before the server ends a connection on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct SessionEnded {
    pub(crate) code: EndCode,
    pub(crate) message: &'static str,
    /// Whether a new connection with a fresh token can succeed.
    pub(crate) retryable: bool,
}

/// Why the server ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndCode {
    TokenExpired,
    Revoked,
    Kicked,
    Banned,
}

impl SessionEnded {
    pub(crate) const TOKEN_EXPIRED: Self = Self {
        code: EndCode::TokenExpired,
        message: "the token has expired; connect with a fresh one",
        retryable: true,
    };
    pub(crate) const REVOKED: Self = Self {
        code: EndCode::Revoked,
        message: "the user's tokens were revoked; sign in again",
        retryable: false,
    };
    pub(crate) const KICKED: Self = Self {
        code: EndCode::Kicked,
        message: "the app's backend closed the connection",
        retryable: false,
    };
    pub(crate) const BANNED: Self = Self {
        code: EndCode::Banned,
        message: "the user is banned",
        retryable: false,
    };
}

/// The limits that `session` reports to the client.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionLimits {
    /// The longest text of a message, in bytes.
    pub(crate) text_bytes: usize,
    /// The largest `metadata`, in bytes of JSON.
    pub(crate) metadata_bytes: usize,
    /// The most mentions of a message.
    pub(crate) mentions: usize,
    /// The most rooms that this connection may be subscribed to.
    pub(crate) rooms: usize,
    /// The most messages of a page.
    pub(crate) page: u32,
    /// Sustained events per second; `null` without rate limits.
    pub(crate) events_per_second: Option<u32>,
    /// The burst after a pause, in events; `null` without rate limits.
    pub(crate) event_burst: Option<u32>,
}

/// `error`: a failure of an event without a callback, or the reason why the server closes the connection.
#[derive(Debug, Serialize, JsonSchema)]
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
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AckError {
    #[schemars(extend("const" = false))]
    ok: bool,
    error: ErrorBody,
}

impl AckError {
    pub(crate) const fn of(error: ErrorBody) -> Self {
        Self { ok: false, error }
    }
}

/// Empty ack data: `{}`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Nothing {}

/// `server:draining {retryAfterMs}`: this server shuts down and is about to end the connection.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Draining {
    /// The earliest time to reconnect, in milliseconds from now. The stock client waits about as long by
    /// itself.
    pub(crate) retry_after_ms: u32,
}
