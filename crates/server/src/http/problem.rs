//! The error responses of the HTTP side: `{"error": {"code", "message"}}`, with the codes that sockets use
//! too.

use std::{error::Error, time::Duration};

use axum::{
    Json,
    extract::rejection::{BytesRejection, JsonRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use roomful_chat::{ChatError, ErrorCode};
use roomful_socket::TooSlow;
use serde_json::json;

use crate::scope::Scope;

/// The reason for an error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The request is malformed or breaks a rule. The text names the rule.
    Invalid(String),
    /// The request does not carry the API key. The text says how to send it.
    Unauthorized(&'static str),
    /// The server does not answer this client.
    Forbidden(&'static str),
    /// The API key lacks the scope of the call.
    MissingScope(Scope),
    /// Too many requests. The time is how long to wait.
    TooMany(Duration),
    /// The client sent the body too slowly.
    TooSlow,
    /// The body's media type is not JSON.
    Media,
    /// The body exceeds the size limit.
    TooLarge,
    /// Chat rejected the call.
    Chat(ChatError),
    /// The path matches no route.
    NotFound,
    /// The route exists, but not for this method.
    Method,
    /// A temporary condition. The same request may succeed later.
    Unavailable(&'static str),
    /// A bug or a failure of the server.
    Internal,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let own_message;
        let (status, code, message) = match &self {
            Problem::Unauthorized(what) => (StatusCode::UNAUTHORIZED, "unauthorized", *what),
            Problem::Forbidden(what) => (StatusCode::FORBIDDEN, "forbidden", *what),
            Problem::TooMany(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many requests from this address. Wait for the seconds in Retry-After.",
            ),
            Problem::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "invalid_request",
                "The request body arrived too slowly. Send it faster, see http.min_rate.",
            ),
            Problem::Media => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid_request",
                "Send JSON, as application/json.",
            ),
            Problem::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "The body is larger than socket.max_payload. Send a smaller one.",
            ),
            Problem::Chat(error) => {
                own_message = error.to_string();
                (status(error.code()), error.code().as_str(), own_message.as_str())
            }
            Problem::MissingScope(scope) => {
                own_message =
                    format!("This key lacks the scope {scope}. Add it in api.keys, or use another key.");
                (StatusCode::FORBIDDEN, "forbidden", own_message.as_str())
            }
            Problem::Invalid(what) => (StatusCode::BAD_REQUEST, "invalid_request", what.as_str()),
            Problem::NotFound => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is nothing at this address.",
            ),
            Problem::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "invalid_request",
                "This address does not support the method.",
            ),
            Problem::Unavailable(what) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", *what),
            Problem::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The server failed to answer. Its log says why.",
            ),
        };
        let mut response =
            (status, Json(json!({"error": {"code": code, "message": message}}))).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let retry_after = match self {
            Problem::Chat(
                ChatError::RateLimited { retry_after_ms, .. } | ChatError::SlowMode { retry_after_ms },
            ) => Some(retry_after_ms.div_ceil(1_000)),
            Problem::TooMany(wait) => Some(wait.as_secs() + 1),
            _ => None,
        };
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

const fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Unauthorized | ErrorCode::TokenExpired => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden
        | ErrorCode::QuotaExceeded
        | ErrorCode::Banned
        | ErrorCode::Muted
        | ErrorCode::Refused => StatusCode::FORBIDDEN,
        ErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited | ErrorCode::SlowMode => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<ChatError> for Problem {
    fn from(error: ChatError) -> Self {
        Self::Chat(error)
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::TooLarge
        } else if is_too_slow(&rejection) {
            Self::TooSlow
        } else {
            Self::Invalid(rejection.body_text())
        }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::MissingJsonContentType(_) => Self::Media,
            JsonRejection::BytesRejection(rejection) => rejection.into(),
            other => {
                let what = other.body_text();
                if what.contains("surrogate") {
                    return Self::Invalid(format!(
                        "A string has half of a surrogate pair, which is no character; escape both halves \
                         or none. {what}"
                    ));
                }
                Self::Invalid(what)
            }
        }
    }
}

/// Whether the body's error is the one of its deadline.
fn is_too_slow(rejection: &BytesRejection) -> bool {
    let first: &(dyn Error + 'static) = rejection;
    std::iter::successors(Some(first), |&error| error.source()).any(<dyn Error>::is::<TooSlow>)
}
