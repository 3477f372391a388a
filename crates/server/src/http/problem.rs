//! The shape of every refusal over HTTP: `{"error": {"code", "message"}}`, with CONTRACT's codes.

use axum::{
    Json,
    extract::rejection::{BytesRejection, JsonRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use roomful_chat::{ChatError, ErrorCode};
use serde_json::json;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The request can't be understood or breaks a rule; the text says which, and what is allowed.
    Invalid(String),
    /// Whoever asks does not show the key; the text says what is wrong with that.
    Unauthorized(&'static str),
    /// The body is not of a kind that is understood.
    Media,
    /// The body is larger than it may be.
    TooLarge,
    /// Chat refuses.
    Chat(ChatError),
    /// There is nothing here.
    NotFound,
    /// The path is right, the method is not.
    Method,
    /// Not now; later perhaps.
    Unavailable(&'static str),
    /// The fault is ours.
    Internal,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let chat_message;
        let (status, code, message) = match &self {
            Problem::Unauthorized(what) => (StatusCode::UNAUTHORIZED, "unauthorized", *what),
            Problem::Media => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid_request",
                "Send JSON, as application/json.",
            ),
            Problem::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "The body is larger than socket.max_payload.",
            ),
            Problem::Chat(error) => {
                chat_message = error.to_string();
                (status(error.code()), error.code().as_str(), chat_message.as_str())
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
                "This method has no meaning here.",
            ),
            Problem::Unavailable(what) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", *what),
            Problem::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong in the server.",
            ),
        };
        let mut response =
            (status, Json(json!({"error": {"code": code, "message": message}}))).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Problem::Chat(ChatError::RateLimited { retry_after_ms, .. }) = self {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(retry_after_ms.div_ceil(1_000)),
            );
        }
        response
    }
}

const fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Unauthorized | ErrorCode::TokenExpired => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
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
            other => Self::Invalid(other.body_text()),
        }
    }
}
