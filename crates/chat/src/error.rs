//! The errors of chat, each with its code and the message that a client sees. The reply decides how an
//! error travels: as an ack, an `error` event or a `connect_error`.

use roomful_bus::BusError;
use roomful_store::{Outage, StoreError};
use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

/// The codes a client may see, in the order of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The token is missing, forged, malformed, or belongs to another user.
    Unauthorized,
    /// The token was valid and has expired. Connect again with a fresh one.
    TokenExpired,
    /// The user may not do this, or the room does not exist for them. Clients cannot tell the two apart.
    Forbidden,
    /// The server does not know the event, or its payload is malformed.
    InvalidRequest,
    /// A field of the payload exceeds its limit.
    PayloadTooLarge,
    /// The client exceeded a rate limit. `retryAfterMs` says when to try again.
    RateLimited,
    /// The `clientId` already identifies another message.
    Conflict,
    /// The thing named in the payload does not exist.
    NotFound,
    /// The server cannot do it now. A later try may succeed.
    Unavailable,
    /// A fault of the server. Its log has the cause.
    Internal,
    /// The user already has as much as the server's settings allow.
    QuotaExceeded,
    /// The user is banned from the room, or from the whole server.
    Banned,
    /// The user may not send, edit or react.
    Muted,
    /// The room is in slow mode. `retryAfterMs` says when the user may send again.
    SlowMode,
    /// The app, or a rule, does not allow it. `message` has the reason.
    Refused,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 15] = [
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
        Self::QuotaExceeded,
        Self::Banned,
        Self::Muted,
        Self::SlowMode,
        Self::Refused,
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
            Self::QuotaExceeded => "quota_exceeded",
            Self::Banned => "banned",
            Self::Muted => "muted",
            Self::SlowMode => "slow_mode",
            Self::Refused => "refused",
        }
    }
}

/// The reason for a refusal. `Display` is the message for the client: what happened, then what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The server does not accept the token.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The token's `exp` has passed.
    #[error("the token has expired; get a fresh one and connect again")]
    TokenExpired,
    /// The room does not exist, or the user may not use it.
    #[error("you have no access to this room; join it first, or ask for a token that allows it")]
    Forbidden,
    /// The room does not exist, or the user may not join it.
    #[error("you can't join this room; ask the app to add you as a member, or for a token that allows it")]
    NotJoinable,
    /// The message belongs to another user.
    #[error("{0}")]
    NotYours(&'static str),
    /// The payload does not match the event's schema.
    #[error("{0}")]
    InvalidRequest(String),
    /// A field exceeds its limit.
    #[error("{0}")]
    PayloadTooLarge(String),
    /// The client exceeded a rate limit.
    #[error("too many {what}; wait {retry_after_ms} ms and try again")]
    RateLimited {
        /// The limited thing, in the plural.
        what: &'static str,
        /// Milliseconds until the next try can succeed.
        retry_after_ms: u64,
    },
    /// The named object does not exist.
    #[error("{0}")]
    NotFound(&'static str),
    /// The client id already identifies another message.
    #[error("this clientId was used for another message (seq {seq}); use a new clientId for a new message")]
    Conflict {
        /// The seq of the message that has the id.
        seq: u64,
    },
    /// The id already identifies another notification.
    #[error("the id {0:?} was used for a notification to other users or with another content; use a new id")]
    NotificationConflict(String),
    /// The server cannot do it now.
    #[error("{0}; try again in a moment")]
    Unavailable(&'static str),
    /// The user is a member of as many rooms as one may be.
    #[error("the user is a member of {0} rooms, which is the limit; leave one first")]
    TooManyRooms(u32),
    /// The connection is subscribed to as many rooms as one may be.
    #[error("this connection is in {0} rooms, which is the limit; leave one first")]
    TooManySubscriptions(usize),
    /// The user has created as many rooms today as one may.
    #[error(
        "the user has created as many rooms today as the server allows; join a room that exists, or wait \
             until midnight UTC"
    )]
    TooManyNewRooms,
    /// The user has written as much today as one may.
    #[error("the user has written as much today as the server allows; wait until midnight UTC")]
    WroteTooMuch,
    /// The message was edited as often as it may be.
    #[error("this message was edited as often as the server allows; write a new one")]
    TooManyEdits,
    /// The user has blocked as many users as one may.
    #[error("the user has blocked {0} users, which is the limit; unblock one first")]
    TooManyBlocks(u32),
    /// The user has reported as many messages within a day as one may.
    #[error("the user has reported {0} messages within 24 hours, which is the limit; try again later")]
    TooManyReports(u32),
    /// The room has two members, and one of them has blocked the other.
    #[error("neither member can write here: one has blocked the other")]
    Blocked,
    /// The user is banned from the room, or from the whole server.
    #[error("the user is banned; ask a moderator to end the ban")]
    Banned,
    /// The user is muted.
    #[error("the user is muted and may only read; ask a moderator to end it")]
    Muted,
    /// The room is frozen.
    #[error("the room is frozen: only its moderators may write")]
    Frozen,
    /// The room is in slow mode.
    #[error("the room is in slow mode; wait {retry_after_ms} ms before the next message")]
    SlowMode {
        /// Milliseconds until the next message can succeed.
        retry_after_ms: u64,
    },
    /// The app or a rule of the server does not allow it, for this reason.
    #[error("{0}")]
    Refused(String),
    /// The app could not be asked, and nothing happens without its consent.
    #[error("the app could not be asked whether to allow this; try again in a moment")]
    Undecided,
    /// A fault of the server.
    #[error("the server failed to handle this; its log has the cause")]
    Internal,
    /// A verification key of the configuration is unusable. Occurs at start only.
    #[error("the key {kid} for {algorithm} is unusable: {reason}")]
    BadKey {
        /// The key's id, or `(no kid)`.
        kid: String,
        /// The key's configured algorithm.
        algorithm: &'static str,
        /// The cause.
        reason: String,
    },
}

/// The answer to a request that names a room which does not exist.
pub(crate) const NO_ROOM: ChatError = ChatError::NotFound("there is no such room");

impl ChatError {
    /// The stable code for programs.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unauthorized(_) => ErrorCode::Unauthorized,
            Self::TokenExpired => ErrorCode::TokenExpired,
            Self::Forbidden | Self::NotJoinable | Self::NotYours(_) | Self::Frozen | Self::Blocked => {
                ErrorCode::Forbidden
            }
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::PayloadTooLarge(_) => ErrorCode::PayloadTooLarge,
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::Conflict { .. } | Self::NotificationConflict(_) => ErrorCode::Conflict,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::TooManyRooms(_)
            | Self::TooManySubscriptions(_)
            | Self::TooManyNewRooms
            | Self::WroteTooMuch
            | Self::TooManyEdits
            | Self::TooManyBlocks(_)
            | Self::TooManyReports(_) => ErrorCode::QuotaExceeded,
            Self::Banned => ErrorCode::Banned,
            Self::Muted => ErrorCode::Muted,
            Self::SlowMode { .. } => ErrorCode::SlowMode,
            Self::Refused(_) | Self::Undecided => ErrorCode::Refused,
            Self::Internal | Self::BadKey { .. } => ErrorCode::Internal,
        }
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(&self) -> bool {
        matches!(self, Self::Undecided)
            || matches!(
                self.code(),
                ErrorCode::RateLimited | ErrorCode::SlowMode | ErrorCode::Unavailable | ErrorCode::Internal
            )
    }

    /// Whether the client could have avoided it. Outages and faults of the server are not the client's.
    pub(crate) const fn is_clients_fault(&self) -> bool {
        !matches!(self, Self::Undecided)
            && !matches!(self.code(), ErrorCode::Unavailable | ErrorCode::Internal)
    }

    /// The error as it appears in an ack, an `error` event or a `connect_error`'s `data`.
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            code: self.code(),
            message: self.to_string(),
            retryable: self.retryable(),
            retry_after_ms: match self {
                Self::RateLimited { retry_after_ms, .. } | Self::SlowMode { retry_after_ms } => {
                    Some(*retry_after_ms)
                }
                _ => None,
            },
        }
    }
}

/// The contract's error object: `{code, message, retryable, retryAfterMs?}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// The stable code for programs.
    pub code: ErrorCode,
    /// The message for people.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Milliseconds until the next try can succeed.
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
    fn codes_serialise_to_their_names() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn a_lost_lease_is_reported_as_such_and_not_as_a_store_failure() {
        let error = ChatError::from(roomful_store::StoreError::from(roomful_store::Outage::Fenced));
        assert!(
            error.retryable() && error.to_string().contains("lease"),
            "{error}"
        );
    }

    #[test]
    fn the_error_body_matches_the_contract() {
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
