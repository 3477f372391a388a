//! What can go wrong, in the words a client sees: one enum, one code each.
//! How an error travels (ack, `error` event, `connect_error`) is decided by who answers, not here.

use roomful_bus::BusError;
use roomful_store::{Outage, StoreError};
use serde::Serialize;
use thiserror::Error;

/// The codes a client may see; the whole list, in the order of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The token is missing, forged, malformed, or for somebody else.
    Unauthorized,
    /// The token was good once; come back with a fresh one.
    TokenExpired,
    /// Not allowed, or there is no such room for this user: the two are not told apart.
    Forbidden,
    /// The event or its payload is not one the server understands.
    InvalidRequest,
    /// A part of the payload is larger than its limit.
    PayloadTooLarge,
    /// Too much in too short a time; `retryAfterMs` says when to try again.
    RateLimited,
    /// The same `clientId` was used for another message.
    Conflict,
    /// The thing named in the payload does not exist.
    NotFound,
    /// The server can't do it now; a later try may succeed.
    Unavailable,
    /// A fault of the server; the log has the cause.
    Internal,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::Unauthorized,
        Self::TokenExpired,
        Self::Forbidden,
        Self::InvalidRequest,
        Self::PayloadTooLarge,
        Self::RateLimited,
        Self::Conflict,
        Self::NotFound,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code as it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::TokenExpired => "token_expired",
            Self::Forbidden => "forbidden",
            Self::InvalidRequest => "invalid_request",
            Self::PayloadTooLarge => "payload_too_large",
            Self::RateLimited => "rate_limited",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// Why something was refused. `Display` is the message that the client sees: it says what happened and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The token is not one this server accepts.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The token's `exp` has passed.
    #[error("the token has expired; get a fresh one and connect again")]
    TokenExpired,
    /// The room is not for this user, or there is none.
    #[error("you have no access to this room; join it first, or ask for a token that allows it")]
    Forbidden,
    /// The message is somebody else's.
    #[error("{0}")]
    NotYours(&'static str),
    /// The payload is not what the event takes.
    #[error("{0}")]
    InvalidRequest(String),
    /// A field is too large.
    #[error("{0}")]
    PayloadTooLarge(String),
    /// A rate limit was hit.
    #[error("too many {what}; wait {retry_after_ms} ms and try again")]
    RateLimited {
        /// What there was too much of, in the plural.
        what: &'static str,
        /// Milliseconds until a try can succeed.
        retry_after_ms: u64,
    },
    /// There is no such thing.
    #[error("{0}")]
    NotFound(&'static str),
    /// The client id belongs to another message.
    #[error("this clientId was used for another message (seq {seq}); use a new clientId for a new message")]
    Conflict {
        /// The seq of the message that has the id.
        seq: u64,
    },
    /// The notification's id belongs to another one.
    #[error("the id {0:?} was used for a notification to other users or with another content; use a new id")]
    NotificationConflict(String),
    /// The server can't do it now.
    #[error("{0}; try again in a moment")]
    Unavailable(&'static str),
    /// A fault of the server.
    #[error("the server failed to do this; its log has the cause")]
    Internal,
    /// A verification key of the configuration can't be used. Met while starting, never by a client.
    #[error("the key {kid} for {algorithm} can't be used: {reason}")]
    BadKey {
        /// The key's id, or `(no kid)`.
        kid: String,
        /// The algorithm it was given for.
        algorithm: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl ChatError {
    /// The code a program decides by.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unauthorized(_) => ErrorCode::Unauthorized,
            Self::TokenExpired => ErrorCode::TokenExpired,
            Self::Forbidden | Self::NotYours(_) => ErrorCode::Forbidden,
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::PayloadTooLarge(_) => ErrorCode::PayloadTooLarge,
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::Conflict { .. } | Self::NotificationConflict(_) => ErrorCode::Conflict,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::Internal | Self::BadKey { .. } => ErrorCode::Internal,
        }
    }

    /// Whether the very same request may succeed later.
    pub const fn retryable(&self) -> bool {
        matches!(
            self.code(),
            ErrorCode::RateLimited | ErrorCode::Unavailable | ErrorCode::Internal
        )
    }

    /// The error as it stands in an ack, an `error` event or a `connect_error`'s `data`.
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            code: self.code(),
            message: self.to_string(),
            retryable: self.retryable(),
            retry_after_ms: match self {
                Self::RateLimited { retry_after_ms, .. } => Some(*retry_after_ms),
                _ => None,
            },
        }
    }
}

/// `{code, message, retryable, retryAfterMs?}`: the error object of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// What a program decides by.
    pub code: ErrorCode,
    /// What a person reads.
    pub message: String,
    /// Whether the very same request may succeed later.
    pub retryable: bool,
    /// Milliseconds until a try can succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl From<StoreError> for ChatError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(Outage::Fenced) => Self::Unavailable(
                "this node has lost its lease in the cluster and stores nothing until it has a new one",
            ),
            StoreError::Unavailable(_) => Self::Unavailable("the server can't reach its store"),
            StoreError::Internal(_) | StoreError::Setup(_) => {
                tracing::error!(%error, "the store failed");
                Self::Internal
            }
        }
    }
}

impl From<BusError> for ChatError {
    fn from(error: BusError) -> Self {
        tracing::debug!(%error, "failed to reach the registry");
        Self::Unavailable("the server can't reach its cluster")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_they_are_named() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn a_node_without_its_lease_does_not_blame_the_store() {
        let error = ChatError::from(roomful_store::StoreError::from(roomful_store::Outage::Fenced));
        assert!(
            error.retryable() && error.to_string().contains("lease"),
            "{error}"
        );
    }

    #[test]
    fn the_body_has_the_contracts_shape() {
        let error = ChatError::RateLimited {
            what: "events",
            retry_after_ms: 40,
        };
        assert_eq!(
            serde_json::to_value(error.body()).unwrap(),
            serde_json::json!({
                "code": "rate_limited", "retryable": true, "retryAfterMs": 40,
                "message": "too many events; wait 40 ms and try again",
            })
        );
        let body = serde_json::to_value(ChatError::Forbidden.body()).unwrap();
        assert_eq!(body["retryable"], false);
        assert!(body.get("retryAfterMs").is_none());
    }
}
